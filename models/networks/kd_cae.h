// The kernel-density convolutional autoencoder: presets kd-cae and kd-cae-strided.
#pragma once

#include "layers/sequential.h"
#include "models/networks/network.h"

namespace assay {

class KdCae : public Network {
 public:
  enum class Variant : uint8_t { pooled, strided };
  KdCae(Variant variant, int image_size, int channels, int latent_channels = 128);

  /// x (N,H,W,c) in [0,1] -> latent (N,H/16,W/16,latent_channels).
  Tensor encode(const Tensor& x) { return encoder_(x); }
  /// The encoder in two steps: a vector for each 4 x 4 pixels (N,H/4,W/4,64), and the latent from
  /// these maps.
  Tensor maps(const Tensor& x) { return encoder_.forward_between(x, 0, 2); }
  Tensor encode_maps(const Tensor& maps) { return encoder_.forward_between(maps, 2, 3); }
  static constexpr int kMapChannels = 64, kMapCell = 4;
  Tensor decode(const Tensor& z) { return decoder_(z); }
  /// The reconstruction, of the shape of x.
  Tensor forward(const Tensor& x) override { return decode(encode(x)); }
  /// The latents (N,d) in NCHW order, as latents.safetensors and the density hold them.
  Tensor latents(const Tensor& x);
  /// d, the length of a latent.
  int64_t latent_size() const {
    const int64_t side = image_size() / 16;
    return latent_channels_ * side * side;
  }

  Shape describe(const std::string& name, const Shape& input,
                 std::vector<LayerRow>& rows) const override;

 private:
  int latent_channels_;
  Sequential encoder_, decoder_;
};

}  // namespace assay
