#include "models/networks/kd_cae.h"

#include "layers/conv.h"
#include "tensor/permute.h"

namespace assay {

KdCae::KdCae(Variant variant, int image_size, int channels, int latent_channels)
    : Network(image_size, channels), latent_channels_(latent_channels) {
  check_image_size("kd-cae", image_size, 16, 16);
  const bool strided = variant == Variant::strided;
  const auto conv = [](int C, int K, Conv2dOptions op) {
    op.pad = 1;
    if (op.activation == Activation::none) op.activation = Activation::relu;
    return Conv2dConfig{.C = C, .K = K, .op = op};
  };
  encoder_
      .add<Conv2d>(conv(channels, 32, {.pool = 2}))  // (N,H/2,W/2,32)
      .add<Conv2d>(conv(32, 64, {.pool = 2}))        // (N,H/4,W/4,64)
      .add<Conv2d>(conv(64, latent_channels,
                        strided ? Conv2dOptions{.stride = 2, .pool = 2}
                                : Conv2dOptions{.pool = 4}));  // (N,H/16,W/16,latent_channels)
  decoder_
      .add<Conv2d>(conv(latent_channels, 128, {}))  // (N,H/16,W/16,128)
      .add<Conv2d>(conv(128, 64, {.upsample = strided ? 2 : 4}))
      .add<Conv2d>(conv(64, 32, {.upsample = 2}))
      .add<Conv2d>(
          conv(32, channels,
               {.upsample = strided ? 4 : 2, .activation = Activation::sigmoid}));  // (N,H,W,c)
  add_child("encoder", encoder_);
  add_child("decoder", decoder_);
}

Tensor KdCae::latents(const Tensor& x) {
  return flatten_nchw(encode(x));
}

Shape KdCae::describe(const std::string&, const Shape& input, std::vector<LayerRow>& rows) const {
  return decoder_.describe("decoder", encoder_.describe("encoder", input, rows), rows);
}

}  // namespace assay
