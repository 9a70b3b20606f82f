#include "kernels/reduce/reduce.h"

#include "kernels/pointwise/fp32_edges.h"
#include "kernels/reduce/reduce_backends.h"
#include "kernels/reduce/reduce_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

template <class T>
void reduce_sum(Context& ctx, int64_t n, const T* x, Master<T>* out) {
  if constexpr (std::is_same_v<T, bf16>)
    reduce_sum<float>(ctx, n, Fp32Edges(ctx).in(x, n), out);
  else
    ASSAY_DISPATCH(T, ctx, reduce_sum, n, x, out);
}

template <class T>
void reduce_columns(Context& ctx, int64_t rows, int C, const T* x, Master<T>* out) {
  if constexpr (std::is_same_v<T, bf16>)
    reduce_columns<float>(ctx, rows, C, Fp32Edges(ctx).in(x, rows * C), out);
  else
    ASSAY_DISPATCH(T, ctx, reduce_columns, rows, C, x, out);
}

template <class T>
void reduce_rows(Context& ctx, int64_t rows, int64_t C, const T* x, Master<T>* out) {
  if constexpr (std::is_same_v<T, bf16>)
    reduce_rows<float>(ctx, rows, C, Fp32Edges(ctx).in(x, rows * C), out);
  else
    ASSAY_DISPATCH(T, ctx, reduce_rows, rows, C, x, out);
}

template <class T>
bool all_finite(Context& ctx, int64_t n, const T* x) {
  if constexpr (std::is_same_v<T, bf16>) {
    return all_finite<float>(ctx, n, Fp32Edges(ctx).in(x, n));
  } else {
    bool finite = true;
    ASSAY_DISPATCH(T, ctx, all_finite, n, x, &finite);
    return finite;
  }
}

void finish_sum([[maybe_unused]] Context& ctx, [[maybe_unused]] const PartialSum& sum,
                [[maybe_unused]] float* out) {
#if ASSAY_HAVE_CUDA
  if (ctx.device.is_cuda()) return cuda::finish_sum(ctx, sum, out);
#endif
  throw Error("finish_sum: only CUDA kernels leave partial sums");
}

#define ASSAY_INSTANTIATE(T)                                                                   \
  template void reduce_sum<T>(Context&, int64_t n, const T* x, Master<T>* out);                \
  template void reduce_columns<T>(Context&, int64_t rows, int C, const T* x, Master<T>* out);  \
  template void reduce_rows<T>(Context&, int64_t rows, int64_t C, const T* x, Master<T>* out); \
  template bool all_finite(Context&, int64_t n, const T* x)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
ASSAY_INSTANTIATE(bf16);
#undef ASSAY_INSTANTIATE

}  // namespace assay
