// The dense layer.
#pragma once

#include <optional>

#include "layers/module.h"

namespace assay {

/// A picture that a dense layer reads or makes: our order is (H,W,C), PyTorch's (C,H,W).
struct PictureOrder {
  int64_t H, W, C;
};

struct LinearConfig {
  int64_t in, out;
  Activation activation = Activation::none;
  std::optional<PictureOrder> input_picture = {};   ///< where the input is a flattened picture
  std::optional<PictureOrder> output_picture = {};  ///< where the output becomes a picture
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
