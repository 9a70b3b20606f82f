#include "kernels/pointwise/pointwise_backends.h"
#include "kernels/pointwise/pointwise_ref.h"

namespace assay::cpu {
void activation_fprop(Context&, Activation a, float slope, int64_t n, const float* x, float* y) {
  ref::activation_fprop(a, slope, n, x, y);
}
void activation_bprop(Context&, Activation a, float slope, int64_t n, const float* y,
                      const float* dy, float* dx) {
  ref::activation_bprop(a, slope, n, y, dy, dx);
}
void add(Context&, int64_t n, const float* a, const float* b, float* out) {
  ref::add(n, a, b, out);
}
void subtract(Context&, int64_t n, const float* a, const float* b, float* out) {
  ref::subtract(n, a, b, out);
}
void multiply(Context&, int64_t n, const float* a, const float* b, float* out) {
  ref::multiply(n, a, b, out);
}
void affine(Context&, int64_t n, float scale, float shift, const float* x, float* out) {
  ref::affine(n, scale, shift, x, out);
}
void bias_activation(Context&, Activation a, float slope, int64_t rows, int C, const float* x,
                     const float* bias, float* y) {
  ref::bias_activation(a, slope, rows, C, x, bias, y);
}
void fill(Context&, int64_t n, float value, float* out) {
  ref::fill(n, value, out);
}
}  // namespace assay::cpu
