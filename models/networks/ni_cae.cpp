#include "models/networks/ni_cae.h"

#include <iterator>

#include "layers/conv.h"

namespace assay {

namespace {

constexpr int kFilters[] = {128, 64, 16, 8, 4};  // of the encoder; the decoder has them reversed
constexpr int kLatentChannels = 4, kHidden = 512, kReduction = 32;

LinearConfig dense(int64_t in, int64_t out) {
  return {.in = in, .out = out, .activation = Activation::relu};
}

LinearConfig flatten_dense(int side) {
  LinearConfig config = dense(int64_t{side} * side * kLatentChannels, kHidden);
  config.input_image = ImageLayout{side, side, kLatentChannels};
  return config;
}

LinearConfig dense_reshape(int side) {
  LinearConfig config = dense(kHidden, int64_t{side} * side * kLatentChannels);
  config.output_image = ImageLayout{side, side, kLatentChannels};
  return config;
}

}  // namespace

NiCae::NiCae(int image_size, int channels)
    : Network(image_size, channels),
      latent_side_(image_size / kReduction),
      fc1_(flatten_dense(latent_side_)),
      fc2_(dense_reshape(latent_side_)) {
  check_image_size("ni-cae", image_size, kReduction, kReduction);
  int C = channels;
  for (const int filters : kFilters) {
    encoder_.add<Conv2d>(Conv2dConfig{
        .C = C, .K = filters, .op = {.pad = 1, .activation = Activation::relu, .pool = 2}});
    C = filters;
  }
  int upsample = 1;  // of the input; every convolution but the first upsamples by 2
  for (auto filters = std::rbegin(kFilters); filters != std::rend(kFilters); ++filters) {
    decoder_.add<Conv2d>(
        Conv2dConfig{.C = C,
                     .K = *filters,
                     .op = {.pad = 1, .upsample = upsample, .activation = Activation::relu}});
    C = *filters;
    upsample = 2;
  }
  decoder_.add<Conv2d>(Conv2dConfig{.C = C,
                                    .K = channels,
                                    .filter = 1,
                                    .op = {.upsample = 2, .activation = Activation::sigmoid}});
  add_child("encoder", encoder_);
  add_child("fc1", fc1_);
  add_child("fc2", fc2_);
  add_child("decoder", decoder_);
}

Tensor NiCae::forward(const Tensor& x) {
  const Tensor z = fc2_(fc1_(encoder_(x).reshape({x.dim(0), -1})));
  return decoder_(z.reshape({x.dim(0), latent_side_, latent_side_, kLatentChannels}));
}

Shape NiCae::describe(const std::string&, const Shape& input, std::vector<LayerRow>& rows) const {
  const Shape code = encoder_.describe("encoder", input, rows);
  const Shape hidden = fc1_.describe("fc1", {input[0], numel(code) / input[0]}, rows);
  fc2_.describe("fc2", hidden, rows);
  return decoder_.describe("decoder", code, rows);
}

}  // namespace assay
