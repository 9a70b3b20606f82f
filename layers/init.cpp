#include "layers/init.h"

#include <fmt/core.h>

#include <cmath>

#include "kernels/pointwise/pointwise.h"
#include "kernels/random/random.h"

namespace assay {

namespace {

constexpr double kDcganDeviation = 0.02;

double uniform_limit(const ParameterRole& role, Init init) {
  const bool he = init == Init::he && role.followed_by == Activation::relu;
  return std::sqrt(6.0 / static_cast<double>(he ? role.fan_in : role.fan_in + role.fan_out));
}

void init_parameter(const Parameter& p, Init init, uint64_t seed, uint64_t index) {
  Context& ctx = current_context();
  float* w = p.tensor.mutable_data<float>();
  const int64_t n = p.tensor.size();
  const uint64_t stream = stream_id(RandomStream::init, index);
  const bool scale = p.role.kind == ParameterRole::scale;
  if (p.role.kind == ParameterRole::bias) {
    fill(ctx, n, 0.0f, w);
  } else if (init == Init::dcgan) {
    random_normal(ctx, seed, stream, n, scale ? 1.0f : 0.0f, static_cast<float>(kDcganDeviation),
                  w);
  } else if (scale) {
    fill(ctx, n, 1.0f, w);
  } else {
    const float limit = static_cast<float>(uniform_limit(p.role, init));
    random_uniform(ctx, seed, stream, n, -limit, limit, w);
  }
}

}  // namespace

const char* name_of(Init init) {
  switch (init) {
    case Init::he:
      return "he";
    case Init::keras:
      return "keras";
    default:
      return "dcgan";
  }
}

Init init_from_name(std::string_view name) {
  for (const Init init : {Init::he, Init::keras, Init::dcgan})
    if (name == name_of(init)) return init;
  throw UsageError(fmt::format("unknown initialisation '{}'; there are he, keras and dcgan", name));
}

void init_parameters(const Module& module, Init init, uint64_t seed) {
  uint64_t index = 0;
  for (const Parameter& p : module.parameters()) init_parameter(p, init, seed, index++);
}

}  // namespace assay
