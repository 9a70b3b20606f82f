#include "kernels/reduce/reduce.h"

#include "kernels/reduce/reduce_backends.h"
#include "kernels/reduce/reduce_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

template <class T>
void reduce_sum(Context& ctx, int64_t n, const T* x, T* out) {
  ASSAY_DISPATCH(T, ctx, reduce_sum, n, x, out);
}

template <class T>
void reduce_columns(Context& ctx, int64_t rows, int C, const T* x, T* out) {
  ASSAY_DISPATCH(T, ctx, reduce_columns, rows, C, x, out);
}

template <class T>
void reduce_rows(Context& ctx, int64_t rows, int64_t C, const T* x, T* out) {
  ASSAY_DISPATCH(T, ctx, reduce_rows, rows, C, x, out);
}

template <class T>
bool all_finite(Context& ctx, int64_t n, const T* x) {
  bool finite = true;
  ASSAY_DISPATCH(T, ctx, all_finite, n, x, &finite);
  return finite;
}

#define ASSAY_INSTANTIATE(T)                                                            \
  template void reduce_sum(Context& ctx, int64_t n, const T* x, T* out);                \
  template void reduce_columns(Context& ctx, int64_t rows, int C, const T* x, T* out);  \
  template void reduce_rows(Context& ctx, int64_t rows, int64_t C, const T* x, T* out); \
  template bool all_finite(Context& ctx, int64_t n, const T* x)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
#undef ASSAY_INSTANTIATE

}  // namespace assay
