// Functions that the derivatives of several operations share. Nothing here is recorded.
#pragma once

#include "kernels/pointwise/activation_formula.h"
#include "tensor/tensor.h"

namespace assay {

/// dz = dy f'(z) from y = f(z); dy itself when f is the identity.
Tensor activation_backward(Activation a, float slope, const Tensor& y, const Tensor& dy);
/// The gradient of a bias, with the type of parameters: x (...,C) -> (C).
Tensor sum_rows(const Tensor& x);
/// x * factor for a factor of one element with the type of parameters. On the CPU returns x itself
/// if the factor is 1, as it is for the loss of a step.
Tensor scaled(const Tensor& x, const Tensor& factor);

}  // namespace assay
