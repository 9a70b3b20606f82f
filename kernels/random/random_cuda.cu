// Random tensors on a CUDA device: a thread makes the four elements of one Philox block. The bits
// equal the CPU's, because the formulas are IEEE operations that are never contracted
// (CMakeLists.txt).
#include "kernels/random/random_backends.h"
#include "kernels/random/random_formula.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

template <class Block>
__global__ void __launch_bounds__(kThreads) random_elements(int64_t n, Block block, float* out) {
  const int64_t i = 4 * global_thread();
  if (i >= n) return;
  float four[4];
  block(i / 4, four);
  for (int j = 0; j < 4 && i + j < n; ++j) out[i + j] = four[j];
}

struct UniformBlock {
  uint64_t seed, stream;
  float low, high;
  __device__ void operator()(int64_t block, float out[4]) const {
    uniform_block(seed, stream, block, low, high, out);
  }
};
struct NormalBlock {
  uint64_t seed, stream;
  float mean, deviation;
  __device__ void operator()(int64_t block, float out[4]) const {
    normal_block(seed, stream, block, mean, deviation, out);
  }
};

template <class Block>
void fill_random(Context& ctx, int64_t n, const Block& block, float* out) {
  launch(random_elements<Block>, blocks_for(n, 4 * kThreads), kThreads, 0, stream_of(ctx), n, block,
         out);
}

}  // namespace

void random_uniform(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, float low, float high,
                    float* out) {
  fill_random(ctx, n, UniformBlock{seed, stream, low, high}, out);
}

void random_normal(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, float mean,
                   float deviation, float* out) {
  fill_random(ctx, n, NormalBlock{seed, stream, mean, deviation}, out);
}

}  // namespace assay::cuda
