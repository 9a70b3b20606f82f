#include "kernels/random/random.h"

#include "kernels/random/random_backends.h"
#include "kernels/random/random_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

template <class T>
void random_uniform(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, T low, T high,
                    T* out) {
  ASSAY_DISPATCH(T, ctx, random_uniform, seed, stream, n, low, high, out);
}

template <class T>
void random_normal(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, T mean, T deviation,
                   T* out) {
  ASSAY_DISPATCH(T, ctx, random_normal, seed, stream, n, mean, deviation, out);
}

#define ASSAY_INSTANTIATE(T)                                                                   \
  template void random_uniform(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, T low, \
                               T high, T* out);                                                \
  template void random_normal(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, T mean, \
                              T deviation, T* out)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
#undef ASSAY_INSTANTIATE

}  // namespace assay
