// The dense layer.
#pragma once

#include <optional>

#include "layers/module.h"

namespace assay {

/// Shape of an image at the input or output of a dense layer. Ours is flattened as (H,W,C),
/// PyTorch's as (C,H,W).
struct ImageLayout {
  int64_t H, W, C;
};

struct LinearConfig {
  int64_t in, out;
  Activation activation = Activation::none;
  std::optional<ImageLayout> input_image = {};   ///< set if the input is a flattened image
  std::optional<ImageLayout> output_image = {};  ///< set if the output becomes an image
};

/// PyTorch's Linear [activation]. x (N,in) -> (N,out).
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
