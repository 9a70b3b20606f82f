// The vector loops of pointwise_simd.cpp, once per instruction set, on one thread. T is float or
// bf16; the arithmetic is float.
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/isa.h"

namespace assay {

ASSAY_ISA_DECLARE(template <class T>
                  void activation_fprop(Activation a, float slope, int64_t n, const T* x, T* y);
                  template <class T> void activation_bprop(Activation a, float slope, int64_t n,
                                                           const T* y, const T* dy, T* dx);
                  template <class T> void add(int64_t n, const T* a, const T* b, T* out);
                  template <class T> void subtract(int64_t n, const T* a, const T* b, T* out);
                  template <class T> void multiply(int64_t n, const T* a, const T* b, T* out);
                  template <class T>
                  void affine(int64_t n, float scale, float shift, const T* x, T* out);
                  template <class T>
                  void bias_activation(Activation a, float slope, int64_t rows, int C, const T* x,
                                       const float* bias, T* y);
                  /// y = x, from float to bf16 or back.
                  template <class From, class To> void convert(int64_t n, const From* x, To* y);)

}  // namespace assay
