// Pieces that the derivatives of several operations share. Nothing here is recorded.
#pragma once

#include "kernels/pointwise/activation_formula.h"
#include "tensor/tensor.h"

namespace assay {

/// dz = dy f'(z) from y = f(z); dy itself when f is the identity.
Tensor activation_backward(Activation a, float slope, const Tensor& y, const Tensor& dy);
/// The gradient of a bias: x (...,C) -> (C).
Tensor sum_rows(const Tensor& x);
/// x * factor for a factor of one element. On the CPU x itself when that is 1, as in the last loss
/// of a step.
Tensor scaled(const Tensor& x, const Tensor& factor);

}  // namespace assay
