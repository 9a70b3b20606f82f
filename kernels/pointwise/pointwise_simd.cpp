#include "kernels/pointwise/pointwise_simd.h"

#include "kernels/pointwise/activation_simd.h"
#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {

template <class T>
void activation_fprop(Activation a, float slope, int64_t n, const T* x, T* y) {
  with_activation(a, [&](auto A) {
    for_each_register(n,
                      [&](auto at) { at.put(y, activate<A.value>(broadcast(slope), at.get(x))); });
  });
}

template <class T>
void activation_bprop(Activation a, float slope, int64_t n, const T* y, const T* dy, T* dx) {
  with_activation(a, [&](auto A) {
    for_each_register(n, [&](auto at) {
      at.put(dx, at.get(dy) * activation_slope<A.value>(broadcast(slope), at.get(y)));
    });
  });
}

template <class T>
void add(int64_t n, const T* a, const T* b, T* out) {
  for_each_register(n, [&](auto at) { at.put(out, at.get(a) + at.get(b)); });
}

template <class T>
void subtract(int64_t n, const T* a, const T* b, T* out) {
  for_each_register(n, [&](auto at) { at.put(out, at.get(a) - at.get(b)); });
}

template <class T>
void multiply(int64_t n, const T* a, const T* b, T* out) {
  for_each_register(n, [&](auto at) { at.put(out, at.get(a) * at.get(b)); });
}

template <class T>
void affine(int64_t n, float scale, float shift, const T* x, T* out) {
  for_each_register(n, [&](auto at) { at.put(out, scale * at.get(x) + shift); });
}

template <class T>
void bias_activation(Activation a, float slope, int64_t rows, int C, const T* x, const float* bias,
                     T* y) {
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
      const T* xi = x + row * C;
      T* yi = y + row * C;
      for_each_register(length, [&](auto at) {
        at.put(yi, activate<A.value>(broadcast(slope), at.get(xi) + at.get(row_bias)));
      });
    }
  });
}

template <class From, class To>
void convert(int64_t n, const From* x, To* y) {
  for_each_register(n, [&](auto at) { at.put(y, at.get(x)); });
}
template void convert(int64_t, const float*, bf16*);
template void convert(int64_t, const bf16*, float*);

#define ASSAY_INSTANTIATE(T)                                                          \
  template void activation_fprop(Activation, float, int64_t, const T*, T*);           \
  template void activation_bprop(Activation, float, int64_t, const T*, const T*, T*); \
  template void add(int64_t, const T*, const T*, T*);                                 \
  template void subtract(int64_t, const T*, const T*, T*);                            \
  template void multiply(int64_t, const T*, const T*, T*);                            \
  template void affine(int64_t, float, float, const T*, T*);                          \
  template void bias_activation(Activation, float, int64_t, int, const T*, const float*, T*)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(bf16);
#undef ASSAY_INSTANTIATE

}  // namespace assay::cpu::ASSAY_ISA
