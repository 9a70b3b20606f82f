// A sum in one launch: every block writes its part, the last block adds the parts.
#include "kernels/runtime/cuda/kernel.h"
#include "kernels/runtime/cuda/reduce.cuh"
#include "tests/emulator/kernels/kernels.h"

namespace assay::testing {
namespace {

constexpr int kThreads = 128;

template <bool kAnnotated>
__global__ void last_block_sum(const float* x, float* parts, unsigned* counter, float* sum, int n) {
  float mine = 0.0f;
  for (int i = blockIdx.x * kThreads + threadIdx.x; i < n; i += gridDim.x * kThreads) mine += x[i];
  const float part = cuda::block_sum<kThreads>(mine);
  if (threadIdx.x == 0) parts[blockIdx.x] = part;
  bool last;
  if constexpr (kAnnotated) {
    last = cuda::last_block(counter, gridDim.x);
  } else {  // the same counter, but nothing says that the parts have arrived
    ASSAY_SHARED(bool, is_last, [1]);
    if (threadIdx.x == 0) is_last[0] = atomicInc(counter, gridDim.x - 1) == gridDim.x - 1;
    __syncthreads();
    last = is_last[0];
  }
  if (!last) return;
  float total = 0.0f;
  for (unsigned b = threadIdx.x; b < gridDim.x; b += kThreads) total += parts[b];
  total = cuda::block_sum<kThreads>(total);
  if (threadIdx.x == 0) sum[0] = total;
}

}  // namespace

void run_last_block_sum(const float* x, float* parts, unsigned* counter, float* sum, int n,
                        bool annotated) {
  constexpr int kBlocks = 6;
  cuda::launch(annotated ? last_block_sum<true> : last_block_sum<false>, kBlocks, kThreads, 0,
               nullptr, x, parts, counter, sum, n);
}

}  // namespace assay::testing
