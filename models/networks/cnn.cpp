#include "models/networks/cnn.h"

#include <iterator>

#include "layers/conv.h"
#include "layers/linear.h"

namespace assay {

namespace {

constexpr int kStages = 5, kHidden = 512;
constexpr int kStudyFilters[kStages] = {16, 16, 16, 16, 16};
constexpr int kCodelabFilters[kStages] = {16, 32, 64, 64, 64};

}  // namespace

Cnn::Cnn(Variant variant, int image_size, int channels) : Network(image_size, channels) {
  const bool study = variant == Variant::study;
  const int pad = study ? 1 : 0;
  int side = image_size, C = channels;
  for (const int filters : study ? kStudyFilters : kCodelabFilters) {
    features_.add<Conv2d>(Conv2dConfig{
        .C = C, .K = filters, .op = {.pad = pad, .activation = Activation::relu, .pool = 2}});
    C = filters;
    side = (side + 2 * pad - 2) / 2;
  }
  ASSAY_CHECK_AS(UsageError, side >= 1,
                 "cnn: the image size {} is too small for five times a convolution and max-pooling "
                 "by 2; use at least {}",
                 image_size, study ? 32 : 94);
  classifier_
      .add<Linear>(LinearConfig{.in = int64_t{side} * side * C,
                                .out = kHidden,
                                .activation = Activation::relu,
                                .input_image = ImageLayout{side, side, C}})
      .add<Linear>(LinearConfig{.in = kHidden, .out = 1});
  add_child("features", features_);
  add_child("classifier", classifier_);
}

Tensor Cnn::forward(const Tensor& x) {
  return classifier_(features_(x).reshape({x.dim(0), -1}));
}

Shape Cnn::describe(const std::string&, const Shape& input, std::vector<LayerRow>& rows) const {
  const Shape features = features_.describe("features", input, rows);
  return classifier_.describe("classifier", {input[0], numel(features) / input[0]}, rows);
}

}  // namespace assay
