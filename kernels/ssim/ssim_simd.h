// The vector loops of ssim_simd.cpp, once per instruction set, on one thread. A row is W pixels of
// C channels, W C numbers side by side.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"
#include "kernels/ssim/ssim_formula.h"

namespace assay {

/// The rows under the window of one output row, edges already reflected.
struct SsimRows {
  int W, C;
  const float* x[kSsimTaps];
  const float* y[kSsimTaps];
};

/// The slopes of the rows that contribute to a gradient row: mean, square and product, W C numbers
/// each, one after the other. Null stands for a row outside the inner pixels, all 0.
struct SsimSlopeRows {
  int W, C;
  const double* slopes[kSsimTaps];
};

/// Doubles that a row needs as work space: five sums, with 5 pixels on either side.
ASSAY_FORMULA int64_t ssim_row_space(int W, int C) {
  return int64_t{5} * (W + 2 * kSsimRadius) * C;
}

ASSAY_ISA_DECLARE(
    /// values (W,C): SSIM of every pixel of the row.
    void ssim_values(const SsimRows& rows, const double* weight, double* space, double* values);
    /// slopes (3,W,C); 0 in the 5 pixels on either side, which do not count for the mean.
    void ssim_slope_row(const SsimRows& rows, const double* weight, double* space, double* slopes);
    /// dx (W,C) = scale (M + S x + P y), M, S, P the slopes under the window.
    void ssim_gradient_row(const SsimSlopeRows& rows, const double* weight, double scale,
                           const float* x, const float* y, double* space, float* dx);)

}  // namespace assay
