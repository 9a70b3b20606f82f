// The vector loops of loss_simd.cpp, once per instruction set, on one thread.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

ASSAY_ISA_DECLARE(
    /// Sum of (x - t)^2 over n elements; dx (or null) = scale (x - t).
    double squared_error(int64_t n, const float* x, const float* t, float scale, float* dx);
    /// Sum of the n losses; dx (or null) = scale times their slopes.
    double bce_with_logits(int64_t n, float pos_weight, const float* x, const float* t, float scale,
                           float* dx);)

}  // namespace assay
