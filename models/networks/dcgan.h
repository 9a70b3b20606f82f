// The DCGAN: presets dcgan (64 px) and dcgan-128.
#pragma once

#include "layers/sequential.h"
#include "models/networks/network.h"

namespace assay {

class Dcgan : public Network {
 public:
  static constexpr int kLatent = 100;  ///< length of z

  /// image_size: 32, 64 or 128. filters: number in the discriminator's first convolution; the
  /// published network has 64.
  Dcgan(int image_size, int channels, int filters = 64);
  Shape input_shape(int64_t n) const override { return {n, 1, 1, kLatent}; }

  /// z (N,1,1,100) -> images (N,H,W,c) in [-1,1].
  Tensor generate(const Tensor& z) { return generator_(z); }
  /// Images in [-1,1] -> logits (N,1); positive = real.
  Tensor discriminate(const Tensor& x);
  /// The discriminator's activations before its last layer, in (N,4,4,K).
  Tensor features(const Tensor& x);
  Tensor forward(const Tensor& z) override { return generate(z); }

  Module& generator() { return generator_; }
  Module& discriminator() { return discriminator_; }
  /// Parameters with their full names, for the two optimizers.
  std::vector<Parameter> generator_parameters() const;
  std::vector<Parameter> discriminator_parameters() const;

  /// Describes the generator for z, then the discriminator for the generated images.
  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;

 private:
  Sequential generator_, discriminator_;
};

}  // namespace assay
