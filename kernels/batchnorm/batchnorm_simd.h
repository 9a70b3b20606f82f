// The vector loops of batchnorm_simd.cpp, once per instruction set, on one thread. x, y, dy, dx are
// (rows,C), of float or bf16; the arithmetic is float.
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/isa.h"

namespace assay {

/// Rows whose sums are formed in float; the sums of blocks are added in double.
inline constexpr int64_t kBatchNormBlock = 64;

ASSAY_ISA_DECLARE(
    /// mean (C), and m2 (C) = sum (x - mean)^2, of at most kBatchNormBlock rows: the corrected
    /// two-pass algorithm of Chan, Golub and LeVeque, 1983, equation 1.7. Its first mean is a float
    /// and may be off; the sum of the deviations from it says by how much.
    template <class T>
    void block_moments(int64_t rows, int C, const T* x, double* mean, double* m2);
    /// y = f( scale (x - mean) + shift ).
    template <class T>
    void normalise(Activation a, float slope, int64_t rows, int C, const T* x, const float* mean,
                   const float* scale, const float* shift, T* y);
    /// sums (2,C) += sum dz and sum dz (x - mean), with dz = dy f'(y).
    template <class T>
    void add_gradient_sums(Activation a, float slope, int64_t rows, int C, const T* x, const T* y,
                           const T* dy, const float* mean, double* sums);
    /// dx = scale (dz - mean_dz - (x - mean) slope_dz).
    template <class T>
    void input_gradient(Activation a, float slope, int64_t rows, int C, const T* x, const T* y,
                        const T* dy, const float* mean, const float* scale, const float* mean_dz,
                        const float* slope_dz, T* dx);)

}  // namespace assay
