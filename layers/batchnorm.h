// Batch normalisation. Ioffe and Szegedy, 2015, arXiv:1502.03167.
#pragma once

#include "layers/module.h"
#include "tensor/ops.h"

namespace assay {

struct BatchNormConfig {
  int C;
  Activation activation = Activation::none;
  float slope = 0.2f;  ///< leaky_relu's slope below 0
};

/// PyTorch's BatchNorm2d [activation]. x (...,C). Uses the batch's statistics while training(), the
/// running ones otherwise.
class BatchNorm : public Module {
 public:
  explicit BatchNorm(const BatchNormConfig& config);
  Tensor forward(const Tensor& x) override;
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;
  TorchSpan torch_span() const override;

 private:
  BatchNormConfig config_;
  Tensor gamma_, beta_;  // (C)
  BatchNormState state_;
};

}  // namespace assay
