// Convolution layers, fused with upsampling, activation and max-pool.
#pragma once

#include "layers/module.h"
#include "tensor/ops.h"

namespace assay {

struct Conv2dConfig {
  int C, K;        ///< channels of the input and of the output
  int filter = 3;  ///< side of the filter
  Conv2dOptions op = {};
  bool bias = true;
};

/// PyTorch's [Upsample] Conv2d [activation] [MaxPool2d] as one operation. x (N,H,W,C).
class Conv2d : public Module {
 public:
  explicit Conv2d(const Conv2dConfig& config);
  Tensor forward(const Tensor& x) override;
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;
  TorchSpan torch_span() const override;

 private:
  Conv2dConfig config_;
  Tensor w_, b_;  // (K,R,S,C), (K)
};

struct ConvTranspose2dConfig {
  int C_in, C_out;
  int filter = 4;
  ConvTranspose2dOptions op = {};
  bool bias = true;
};

/// PyTorch's ConvTranspose2d [activation]. x (N,P,Q,C_in).
class ConvTranspose2d : public Module {
 public:
  explicit ConvTranspose2d(const ConvTranspose2dConfig& config);
  Tensor forward(const Tensor& x) override;
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;
  TorchSpan torch_span() const override;

 private:
  ConvTranspose2dConfig config_;
  Tensor w_, b_;  // (C_in,R,S,C_out), (C_out)
};

}  // namespace assay
