#include "kernels/pointwise/pointwise.h"

#include "kernels/pointwise/pointwise_backends.h"
#include "kernels/pointwise/pointwise_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

void check_activation(const char* op, Activation a, float slope, int pool) {
  ASSAY_CHECK(a != Activation::leaky_relu || slope > 0,
              "{}: leaky_relu has slope {} but needs one above 0", op, slope);
  ASSAY_CHECK(pool == 1 || traits_of(a).non_decreasing,
              "{}: {} is not non-decreasing, so it cannot be fused behind a pool of {}; call "
              "activation() and max_pool2d() instead",
              op, name_of(a), pool);
}

template <class T>
void activation_fprop(Context& ctx, Activation a, float slope, int64_t n, const T* x, T* y) {
  ASSAY_DISPATCH(T, ctx, activation_fprop, a, slope, n, x, y);
}

template <class T>
void activation_bprop(Context& ctx, Activation a, float slope, int64_t n, const T* y, const T* dy,
                      T* dx) {
  ASSAY_DISPATCH(T, ctx, activation_bprop, a, slope, n, y, dy, dx);
}

template <class T>
void add(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  ASSAY_DISPATCH(T, ctx, add, n, a, b, out);
}

template <class T>
void subtract(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  ASSAY_DISPATCH(T, ctx, subtract, n, a, b, out);
}

template <class T>
void multiply(Context& ctx, int64_t n, const T* a, const T* b, T* out) {
  ASSAY_DISPATCH(T, ctx, multiply, n, a, b, out);
}

template <class T>
void affine(Context& ctx, int64_t n, Master<T> scale, Master<T> shift, const T* x, T* out) {
  ASSAY_DISPATCH(T, ctx, affine, n, scale, shift, x, out);
}

template <class T>
void scale(Context& ctx, int64_t n, const Master<T>* factor, const T* x, T* out) {
  ASSAY_DISPATCH(T, ctx, scale, n, factor, x, out);
}

template <class T>
void bias_activation(Context& ctx, Activation a, float slope, int64_t rows, int C, const T* x,
                     const Master<T>* bias, T* y) {
  ASSAY_DISPATCH(T, ctx, bias_activation, a, slope, rows, C, x, bias, y);
}

template <class T>
void fill(Context& ctx, int64_t n, T value, T* out) {
  ASSAY_DISPATCH(T, ctx, fill, n, value, out);
}

void convert(Context& ctx, int64_t n, const float* x, bf16* y) {
  ASSAY_DISPATCH(float, ctx, convert, n, x, y);
}
void convert(Context& ctx, int64_t n, const bf16* x, float* y) {
  ASSAY_DISPATCH(float, ctx, convert, n, x, y);
}

template <class T>
void permute(Context& ctx, const Strides& s, const T* x, T* out) {
  ASSAY_DISPATCH(T, ctx, permute, s, x, out);
}

#define ASSAY_INSTANTIATE(T)                                                                      \
  template void activation_fprop(Context& ctx, Activation a, float slope, int64_t n, const T* x,  \
                                 T* y);                                                           \
  template void activation_bprop(Context& ctx, Activation a, float slope, int64_t n, const T* y,  \
                                 const T* dy, T* dx);                                             \
  template void add(Context& ctx, int64_t n, const T* a, const T* b, T* out);                     \
  template void subtract(Context& ctx, int64_t n, const T* a, const T* b, T* out);                \
  template void multiply(Context& ctx, int64_t n, const T* a, const T* b, T* out);                \
  template void affine<T>(Context & ctx, int64_t n, Master<T> scale, Master<T> shift, const T* x, \
                          T* out);                                                                \
  template void scale<T>(Context & ctx, int64_t n, const Master<T>* factor, const T* x, T* out);  \
  template void bias_activation<T>(Context & ctx, Activation a, float slope, int64_t rows, int C, \
                                   const T* x, const Master<T>* bias, T* y);                      \
  template void fill(Context& ctx, int64_t n, T value, T* out);                                   \
  template void permute(Context& ctx, const Strides& s, const T* x, T* out)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
ASSAY_INSTANTIATE(bf16);
#undef ASSAY_INSTANTIATE

}  // namespace assay
