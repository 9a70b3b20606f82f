// The noise-injected convolutional autoencoder: presets ni-cae and ni-cae-128.
#pragma once

#include "layers/linear.h"
#include "layers/sequential.h"
#include "models/networks/network.h"

namespace assay {

class NiCae : public Network {
 public:
  NiCae(int image_size, int channels);
  /// x (N,H,W,c) in [0,1] -> its reconstruction, of the same shape.
  Tensor forward(const Tensor& x) override;
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;

 private:
  int latent_side_;
  Sequential encoder_, decoder_;
  Linear fc1_, fc2_;
};

}  // namespace assay
