#include "layers/batchnorm.h"

#include "layers/describe.h"

namespace assay {

BatchNorm::BatchNorm(const BatchNormConfig& config) : config_(config) {
  gamma_ = add_parameter("weight", {config.C}, {.kind = ParameterRole::scale});
  beta_ = add_parameter("bias", {config.C}, {.kind = ParameterRole::bias});
  state_.running_mean = Tensor::zeros({config.C});
  state_.running_var = Tensor::full({config.C}, 1);
  add_buffer("running_mean", state_.running_mean);
  add_buffer("running_var", state_.running_var);
  add_buffer("num_batches_tracked", &state_.batches);
}

Tensor BatchNorm::forward(const Tensor& x) {
  return batch_norm(
      x, gamma_, beta_, state_,
      {.training = training(), .activation = config_.activation, .slope = config_.slope});
}

Module::TorchSpan BatchNorm::torch_span() const {
  return {config_.activation != Activation::none ? 2 : 1, 0};
}

Shape BatchNorm::describe(const std::string& name, const Shape& input,
                          std::vector<LayerRow>& rows) const {
  check_image(name, input, config_.C);
  rows.push_back({.name = name,
                  .what = "batch norm" + activation_suffix(config_.activation),
                  .output = input,
                  .parameters = parameter_count(),
                  .flops = 2 * numel(input),  // y = scale x + shift
                  .min_bytes = (2 * numel(input) + 4 * config_.C) * 4,
                  .activation = config_.activation,
                  .slope = config_.slope});
  return input;
}

}  // namespace assay
