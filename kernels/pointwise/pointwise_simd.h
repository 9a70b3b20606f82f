// The vector loops of pointwise_simd.cpp, once per instruction set, on one thread.
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/isa.h"

namespace assay {

ASSAY_ISA_DECLARE(void activation_fprop(Activation a, float slope, int64_t n, const float* x,
                                        float* y);
                  void activation_bprop(Activation a, float slope, int64_t n, const float* y,
                                        const float* dy, float* dx);
                  void add(int64_t n, const float* a, const float* b, float* out);
                  void subtract(int64_t n, const float* a, const float* b, float* out);
                  void multiply(int64_t n, const float* a, const float* b, float* out);
                  void affine(int64_t n, float scale, float shift, const float* x, float* out);
                  void bias_activation(Activation a, float slope, int64_t rows, int C,
                                       const float* x, const float* bias, float* y);)

}  // namespace assay
