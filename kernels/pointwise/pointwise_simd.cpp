#include "kernels/pointwise/pointwise_simd.h"

#include "kernels/pointwise/activation_simd.h"
#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {

void activation_fprop(Activation a, float slope, int64_t n, const float* x, float* y) {
  with_activation(a, [&](auto A) {
    for_each_register(n,
                      [&](auto at) { at.put(y, activate<A.value>(broadcast(slope), at.get(x))); });
  });
}

void activation_bprop(Activation a, float slope, int64_t n, const float* y, const float* dy,
                      float* dx) {
  with_activation(a, [&](auto A) {
    for_each_register(n, [&](auto at) {
      at.put(dx, at.get(dy) * activation_slope<A.value>(broadcast(slope), at.get(y)));
    });
  });
}

void add(int64_t n, const float* a, const float* b, float* out) {
  for_each_register(n, [&](auto at) { at.put(out, at.get(a) + at.get(b)); });
}

void subtract(int64_t n, const float* a, const float* b, float* out) {
  for_each_register(n, [&](auto at) { at.put(out, at.get(a) - at.get(b)); });
}

void multiply(int64_t n, const float* a, const float* b, float* out) {
  for_each_register(n, [&](auto at) { at.put(out, at.get(a) * at.get(b)); });
}

void affine(int64_t n, float scale, float shift, const float* x, float* out) {
  for_each_register(n, [&](auto at) { at.put(out, scale * at.get(x) + shift); });
}

void bias_activation(Activation a, float slope, int64_t rows, int C, const float* x,
                     const float* bias, float* y) {
  // A few channels do not fill a register, so several rows are handled as one.
  constexpr int kLongRow = 128;
  float repeated[kLongRow];
  const int fold = C < kLongRow ? kLongRow / C : 1;
  if (fold > 1) {
    for (int i = 0; i < fold * C; ++i) repeated[i] = bias[i % C];
  }
  const float* row_bias = fold > 1 ? repeated : bias;
  with_activation(a, [&](auto A) {
    for (int64_t row = 0; row < rows; row += fold) {
      const int64_t length = (rows - row < fold ? rows - row : fold) * C;
      const float* xi = x + row * C;
      float* yi = y + row * C;
      for_each_register(length, [&](auto at) {
        at.put(yi, activate<A.value>(broadcast(slope), at.get(xi) + at.get(row_bias)));
      });
    }
  });
}

}  // namespace assay::cpu::ASSAY_ISA
