#include "kernels/random/random_backends.h"
#include "kernels/random/random_ref.h"

namespace assay::cpu {
void random_uniform(Context&, uint64_t seed, uint64_t stream, int64_t n, float low, float high,
                    float* out) {
  ref::random_uniform(seed, stream, n, low, high, out);
}
void random_normal(Context&, uint64_t seed, uint64_t stream, int64_t n, float mean, float deviation,
                   float* out) {
  ref::random_normal(seed, stream, n, mean, deviation, out);
}
}  // namespace assay::cpu
