#include "layers/linear.h"

#include <fmt/core.h>

#include "layers/describe.h"
#include "tensor/ops.h"

namespace assay {

namespace {

TorchLayout weight_layout(const LinearConfig& c) {
  ASSAY_CHECK(!c.input_image || !c.output_image,
              "linear: a layer has an image on one side at most");
  if (c.input_image) {
    const auto [H, W, C] = *c.input_image;
    return {{c.out, H, W, C}, {0, 3, 1, 2}, {c.out, c.in}};
  }
  if (c.output_image) {
    const auto [H, W, C] = *c.output_image;
    return {{H, W, C, c.in}, {2, 0, 1, 3}, {c.out, c.in}};
  }
  return {};
}

TorchLayout bias_layout(const LinearConfig& c) {
  if (!c.output_image) return {};
  const auto [H, W, C] = *c.output_image;
  return {{H, W, C}, {2, 0, 1}, {c.out}};
}

}  // namespace

Linear::Linear(const LinearConfig& config) : config_(config) {
  w_ = add_parameter("weight", {config.out, config.in},
                     {.kind = ParameterRole::weight,
                      .fan_in = config.in,
                      .fan_out = config.out,
                      .followed_by = config.activation},
                     weight_layout(config));
  b_ = add_parameter("bias", {config.out}, {.kind = ParameterRole::bias}, bias_layout(config));
}

Tensor Linear::forward(const Tensor& x) {
  return linear(x, w_, b_, config_.activation);
}

Module::TorchSpan Linear::torch_span() const {
  return {config_.activation != Activation::none ? 2 : 1, 0};
}

Shape Linear::describe(const std::string& name, const Shape& input,
                       std::vector<LayerRow>& rows) const {
  ASSAY_CHECK(input.size() == 2 && input[1] == config_.in, "{}: wants (N,{}) but gets {}", name,
              config_.in, to_string(input));
  Shape output{input[0], config_.out};
  rows.push_back(
      {.name = name,
       .what = fmt::format("dense {}{}", config_.out, activation_suffix(config_.activation)),
       .output = output,
       .parameters = parameter_count(),
       .flops = 2 * input[0] * config_.in * config_.out,
       .min_bytes = (numel(input) + numel(output) + parameter_count()) * 4,
       .is_dense = true,
       .activation = config_.activation});
  return output;
}

}  // namespace assay
