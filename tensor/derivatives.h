// Functions that the derivatives of several operations share. Nothing here is recorded.
#pragma once

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/partial_sum.h"
#include "tensor/tensor.h"

namespace assay {

/// dz = dy f'(z) from y = f(z); dy itself when f is the identity.
Tensor activation_backward(Activation a, float slope, const Tensor& y, const Tensor& dy);
/// The gradient of a bias, with the type of parameters: x (...,C) -> (C).
Tensor sum_rows(const Tensor& x);
/// x * factor for a factor of one element with the type of parameters. Returns x itself if the
/// factor is 1, as it is for the loss of a step, and this is known without waiting for a device.
Tensor scaled(const Tensor& x, const Tensor& factor);

/// Lets CUDA kernels leave the gradients of parameters as partial sums, for the optimizer to add.
class GradientSums {
 public:
  /// Of `gradients`, which may be undefined, those of type f32.
  explicit GradientSums(std::vector<Tensor> gradients);
  GradientSums(const GradientSums&) = delete;
  GradientSums& operator=(const GradientSums&) = delete;
  /// The context for the kernels that write the gradients.
  Context& context() { return context_; }
  /// Gives the gradients the sums that the kernels have left.
  void attach();

 private:
  std::vector<Tensor> gradients_;
  Context context_;
  UnfinishedSums sums_;
};

}  // namespace assay
