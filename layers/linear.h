// The dense layer.
#pragma once

#include <optional>

#include "layers/module.h"

namespace assay {

/// An image that a dense layer reads or makes: our order is (H,W,C), PyTorch's (C,H,W).
struct ImageLayout {
  int64_t H, W, C;
};

struct LinearConfig {
  int64_t in, out;
  Activation activation = Activation::none;
  std::optional<ImageLayout> input_image = {};   ///< where the input is a flattened image
  std::optional<ImageLayout> output_image = {};  ///< where the output becomes an image
};

/// Linear [activation] of PyTorch. x (N,in) -> (N,out).
class Linear : public Module {
 public:
  explicit Linear(const LinearConfig& config);
  Tensor forward(const Tensor& x) override;
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;
  TorchSpan torch_span() const override;

 private:
  LinearConfig config_;
  Tensor w_, b_;  // (out,in), (out)
};

}  // namespace assay
