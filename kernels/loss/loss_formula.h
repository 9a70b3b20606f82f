// The losses of one element and their gradients, once for the reference, the CPU and CUDA. V is a
// scalar or a SIMD vector. Transcendental functions are arguments, because each machine has its
// own.
#pragma once

#include "kernels/runtime/formula.h"

namespace assay {

/// l = (1 - t) x + (1 + (w_pos - 1) t) (log1p_e + max(-x, 0)), log1p_e = log(1 + exp(-|x|)).
template <class V>
ASSAY_FORMULA V bce_value(V x, V t, V pos_weight, V log1p_e, V max_minus_x) {
  return (V{} + 1 - t) * x + (V{} + 1 + (pos_weight - 1) * t) * (log1p_e + max_minus_x);
}

/// dl/dx = (1 - t) - (1 + (w_pos - 1) t) sigmoid(-x).
template <class V>
ASSAY_FORMULA V bce_slope(V x_sigmoid_negated, V t, V pos_weight) {
  return (V{} + 1 - t) - (V{} + 1 + (pos_weight - 1) * t) * x_sigmoid_negated;
}

}  // namespace assay
