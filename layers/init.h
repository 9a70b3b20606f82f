// Initial values of parameters, which depend on (seed, index of the parameter, index of the
// element) alone.
#pragma once

#include <cstdint>
#include <string_view>

#include "layers/module.h"

namespace assay {

/// he     uniform in +-sqrt(6 / fan_in) for weights in front of a ReLU (He et al., 2015,
///        arXiv:1502.01852, equation 10), else Glorot's; zero biases
/// keras  uniform in +-sqrt(6 / (fan_in + fan_out)) for all weights (Glorot and Bengio, 2010,
///        AISTATS, equation 16); zero biases
/// dcgan  N(0, .02), batch norm's gamma N(1, .02) (Radford et al., 2016, arXiv:1511.06434,
///        section 4)
enum class Init : uint8_t { he, keras, dcgan };

const char* name_of(Init init);
/// Throws UsageError, which lists the known names, for an unknown name.
Init init_from_name(std::string_view name);

void init_parameters(const Module& module, Init init, uint64_t seed);

}  // namespace assay
