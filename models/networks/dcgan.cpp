#include "models/networks/dcgan.h"

#include "layers/batchnorm.h"
#include "layers/conv.h"

namespace assay {

namespace {

constexpr float kSlope = 0.2f;

/// z (N,1,1,100) -> 4x4, then doubled up to the image size. Batch norm and ReLU follow every
/// transposed convolution but the last, which has tanh.
void build_generator(Sequential& g, int image_size, int channels, int base_filters) {
  int filters = base_filters * image_size / 8;  // 512 for 64 px
  g.add<ConvTranspose2d>(
      ConvTranspose2dConfig{.C_in = Dcgan::kLatent, .C_out = filters, .bias = false});
  for (int side = 4; side < image_size; side *= 2) {
    g.add<BatchNorm>(BatchNormConfig{.C = filters, .activation = Activation::relu});
    const bool last = 2 * side == image_size;
    g.add<ConvTranspose2d>(ConvTranspose2dConfig{
        .C_in = filters,
        .C_out = last ? channels : filters / 2,
        .op = {.stride = 2, .pad = 1, .activation = last ? Activation::tanh : Activation::none},
        .bias = false});
    filters /= 2;
  }
}

/// The image is halved down to 4x4, then mapped to one logit. Batch norm follows every convolution
/// but the first and the last.
void build_discriminator(Sequential& d, int image_size, int channels, int filters) {
  d.add<Conv2d>(Conv2dConfig{
      .C = channels,
      .K = filters,
      .filter = 4,
      .op = {.stride = 2, .pad = 1, .activation = Activation::leaky_relu, .slope = kSlope},
      .bias = false});
  for (int side = image_size / 2; side > 4; side /= 2) {
    d.add<Conv2d>(Conv2dConfig{
        .C = filters, .K = 2 * filters, .filter = 4, .op = {.stride = 2, .pad = 1}, .bias = false});
    filters *= 2;
    d.add<BatchNorm>(
        BatchNormConfig{.C = filters, .activation = Activation::leaky_relu, .slope = kSlope});
  }
  d.add<Conv2d>(Conv2dConfig{.C = filters, .K = 1, .filter = 4, .bias = false});
}

std::vector<Parameter> with_prefix(const std::string& prefix, std::vector<Parameter> parameters) {
  for (Parameter& p : parameters) p.name = prefix + p.name;
  return parameters;
}

}  // namespace

Dcgan::Dcgan(int image_size, int channels, int filters) : Network(image_size, channels) {
  ASSAY_CHECK_AS(UsageError, image_size == 32 || image_size == 64 || image_size == 128,
                 "dcgan: the image size {} must be 32, 64 or 128", image_size);
  build_generator(generator_, image_size, channels, filters);
  build_discriminator(discriminator_, image_size, channels, filters);
  add_child("generator", generator_);
  add_child("discriminator", discriminator_);
}

Tensor Dcgan::discriminate(const Tensor& x) {
  return discriminator_(x).reshape({x.dim(0), 1});
}

Tensor Dcgan::features(const Tensor& x) {
  return discriminator_.forward_between(x, 0, discriminator_.size() - 1);
}

std::vector<Parameter> Dcgan::generator_parameters() const {
  return with_prefix("generator.", generator_.parameters());
}
std::vector<Parameter> Dcgan::discriminator_parameters() const {
  return with_prefix("discriminator.", discriminator_.parameters());
}

Shape Dcgan::describe(const std::string&, const Shape& input, std::vector<LayerRow>& rows) const {
  Shape image = generator_.describe("generator", input, rows);
  discriminator_.describe("discriminator", image, rows);
  return image;
}

}  // namespace assay
