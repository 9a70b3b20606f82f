// The vector loops of pool_simd.cpp, once per instruction set, on one thread: one row of outputs.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

/// A row of Q windows over rows of W pixels with C channels.
struct PoolRow {
  int W, C, Q, window, stride;
};

ASSAY_ISA_DECLARE(
    /// x: the first of the `window` input rows; y and argmax (or null) (Q,C).
    void max_pool_row(const PoolRow& s, const float* x, float* y, uint8_t* argmax);
    /// Adds to dx, the first of the `window` input rows.
    void max_pool_row_gradient(const PoolRow& s, const float* dy, const uint8_t* argmax, float* dx);
    void avg_pool_row(const PoolRow& s, const float* x, float* y);
    void avg_pool_row_gradient(const PoolRow& s, const float* dy, float* dx);
    /// y (W*factor,C) from the row x (W,C).
    void upsample_row(int W, int C, int factor, const float* x, float* y);
    /// dx (W,C) from `factor` rows dy (W*factor,C).
    void upsample_row_gradient(int W, int C, int factor, const float* dy, float* dx);)

}  // namespace assay
