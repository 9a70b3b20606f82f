#include "layers/conv.h"

#include <fmt/core.h>

#include "kernels/conv2d/conv2d.h"
#include "layers/describe.h"

namespace assay {

namespace {

/// Our filters are (K,R,S,C), PyTorch's (K,C,R,S). K counts the input channels of a transposed
/// convolution.
TorchLayout filter_layout(int64_t K, int64_t side, int64_t C) {
  return {{K, side, side, C}, {0, 3, 1, 2}, {K, C, side, side}};
}

std::string filter_text(const char* kind, int filter, int stride, int pad) {
  return fmt::format("{} {}x{}/{}/{}", kind, filter, filter, stride, pad);
}

}  // namespace

Conv2d::Conv2d(const Conv2dConfig& config) : config_(config) {
  const int64_t C = config.C, K = config.K, side = config.filter;
  w_ = add_parameter("weight", {K, side, side, C},
                     {.kind = ParameterRole::weight,
                      .fan_in = side * side * C,
                      .fan_out = side * side * K,
                      .followed_by = config.op.activation},
                     filter_layout(K, side, C));
  if (config.bias) b_ = add_parameter("bias", {K}, {.kind = ParameterRole::bias});
}

Tensor Conv2d::forward(const Tensor& x) {
  return conv2d(x, w_, b_, config_.op);
}

Module::TorchSpan Conv2d::torch_span() const {
  const int before = config_.op.upsample > 1 ? 1 : 0;
  const int behind =
      (config_.op.activation != Activation::none ? 1 : 0) + (config_.op.pool > 1 ? 1 : 0);
  return {before + 1 + behind, before};
}

Shape Conv2d::describe(const std::string& name, const Shape& input,
                       std::vector<LayerRow>& rows) const {
  check_image(name, input, config_.C);
  const Conv2dOptions& o = config_.op;
  const Conv2dShape s{.N = static_cast<int>(input[0]),
                      .H = static_cast<int>(input[1]),
                      .W = static_cast<int>(input[2]),
                      .C = config_.C,
                      .K = config_.K,
                      .R = config_.filter,
                      .S = config_.filter,
                      .stride = o.stride,
                      .pad = o.pad,
                      .upsample = o.upsample};
  Shape output{s.N, s.P() / o.pool, s.Q() / o.pool, s.K};
  const std::string what = (o.upsample > 1 ? fmt::format("upsample {}, ", o.upsample) : "") +
                           filter_text("conv", config_.filter, o.stride, o.pad) +
                           activation_suffix(o.activation) +
                           (o.pool > 1 ? fmt::format(", max-pool {}", o.pool) : "");
  const Conv2dEpilogue epilogue{o.activation, o.slope, o.pool};
  rows.push_back({.name = name,
                  .what = what,
                  .output = output,
                  .parameters = parameter_count(),
                  .flops = conv2d_flops(s),
                  .min_bytes = conv2d_min_bytes(s, epilogue),
                  .conv = ConvCall{s, epilogue},
                  .activation = o.activation,
                  .slope = o.slope});
  return output;
}

ConvTranspose2d::ConvTranspose2d(const ConvTranspose2dConfig& config) : config_(config) {
  const int64_t in = config.C_in, out = config.C_out, side = config.filter;
  w_ = add_parameter("weight", {in, side, side, out},
                     {.kind = ParameterRole::weight,
                      .fan_in = side * side * in,
                      .fan_out = side * side * out,
                      .followed_by = config.op.activation},
                     filter_layout(in, side, out));
  if (config.bias) b_ = add_parameter("bias", {out}, {.kind = ParameterRole::bias});
}

Tensor ConvTranspose2d::forward(const Tensor& x) {
  return conv_transpose2d(x, w_, b_, config_.op);
}

Module::TorchSpan ConvTranspose2d::torch_span() const {
  return {config_.op.activation != Activation::none ? 2 : 1, 0};
}

Shape ConvTranspose2d::describe(const std::string& name, const Shape& input,
                                std::vector<LayerRow>& rows) const {
  check_image(name, input, config_.C_in);
  const ConvTranspose2dOptions& o = config_.op;
  const auto side = [&](int64_t p) { return (p - 1) * o.stride - 2 * o.pad + config_.filter; };
  Shape output{input[0], side(input[1]), side(input[2]), config_.C_out};
  // A multiply-add for each input pixel, filter tap and pair of channels.
  const int64_t flops = 2 * numel(input) * config_.filter * config_.filter * config_.C_out;
  const int64_t elements = numel(input) + numel(output) + parameter_count();
  const Conv2dShape s{.N = static_cast<int>(output[0]),
                      .H = static_cast<int>(output[1]),
                      .W = static_cast<int>(output[2]),
                      .C = config_.C_out,
                      .K = config_.C_in,
                      .R = config_.filter,
                      .S = config_.filter,
                      .stride = o.stride,
                      .pad = o.pad};
  rows.push_back({.name = name,
                  .what = filter_text("transposed conv", config_.filter, o.stride, o.pad) +
                          activation_suffix(o.activation),
                  .output = output,
                  .parameters = parameter_count(),
                  .flops = flops,
                  .min_bytes = elements * 4,
                  .conv = ConvCall{s, {}, true},
                  .activation = o.activation,
                  .slope = o.slope});
  return output;
}

}  // namespace assay
