// The supervised CNN: presets cnn and cnn-codelab.
#pragma once

#include "layers/sequential.h"
#include "models/networks/network.h"

namespace assay {

class Cnn : public Network {
 public:
  enum class Variant : uint8_t {
    study,    ///< five layers of 16 filters, padded to keep the size
    codelab,  ///< 16-32-64-64-64 filters, no padding
  };
  Cnn(Variant variant, int image_size, int channels);
  /// x (N,H,W,c) in [0,1] -> logits (N,1); positive = defective.
  Tensor forward(const Tensor& x) override;
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;

 private:
  Sequential features_, classifier_;
};

}  // namespace assay
