#include "kernels/random/random_backends.h"
#include "kernels/random/random_ref.h"

// There is no version per instruction set: the numbers must be the same on all of them, and a
// network draws its weights once.
namespace assay::cpu {
namespace {

constexpr int64_t kGrain = 1 << 12;  // a multiple of a block of four

}  // namespace

void random_uniform(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, float low, float high,
                    float* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ref::random_elements(begin, end, out, [&](int64_t block, float four[4]) {
      uniform_block(seed, stream, block, low, high, four);
    });
  });
}

void random_normal(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, float mean,
                   float deviation, float* out) {
  parallel_blocks(ctx, n, kGrain, [&](int64_t begin, int64_t end) {
    ref::random_elements(begin, end, out, [&](int64_t block, float four[4]) {
      normal_block(seed, stream, block, mean, deviation, four);
    });
  });
}

}  // namespace assay::cpu
