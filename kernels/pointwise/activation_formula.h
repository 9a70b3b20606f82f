// The activation functions, written once for the reference, the CPU and CUDA.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "kernels/runtime/device.h"

namespace assay {

enum class Activation : uint8_t { none, relu, leaky_relu, sigmoid, tanh };
/// Every value of Activation, in order; the static_asserts below check it.
inline constexpr Activation kActivations[] = {Activation::none, Activation::relu,
                                              Activation::leaky_relu, Activation::sigmoid,
                                              Activation::tanh};

/// Properties of an activation that kernels rely on.
struct ActivationTraits {
  const char* name;
  /// f(max z) = max f(z), so a convolution may pool before it applies f. (leaky_relu: slope > 0)
  bool non_decreasing;
  /// f'(z) follows from y = f(z), so the backward pass keeps y and never z. (leaky_relu: slope > 0)
  bool slope_from_output;
};
constexpr ActivationTraits traits_of(Activation a) {
  switch (a) {
    case Activation::none:
      return {"none", true, true};
    case Activation::relu:
      return {"relu", true, true};
    case Activation::leaky_relu:
      return {"leaky_relu", true, true};
    case Activation::sigmoid:
      return {"sigmoid", true, true};
    case Activation::tanh:
      return {"tanh", true, true};
  }
  return {};
}
inline const char* name_of(Activation a) {
  return traits_of(a).name;
}

/// Whether kActivations is the enum: the values from 0 on, each with a row in traits_of, and the
/// value after its last has no row.
constexpr bool lists_every_activation() {
  const size_t count = std::size(kActivations);
  for (size_t i = 0; i < count; ++i)
    if (kActivations[i] != static_cast<Activation>(i) || traits_of(kActivations[i]).name == nullptr)
      return false;
  return traits_of(static_cast<Activation>(count)).name == nullptr;
}
static_assert(lists_every_activation(),
              "add the activation to Activation, to kActivations and to traits_of");

/// Whether all activations have slope_from_output, as the backward kernels, which take y, assume.
/// For one without it (GELU) tensor/ops_*.cpp, conv2d, gemm and batchnorm would have to store z.
constexpr bool every_slope_follows_from_output() {
  for (const Activation a : kActivations)
    if (!traits_of(a).slope_from_output) return false;
  return true;
}
static_assert(every_slope_follows_from_output(),
              "activation_slope() computes f'(z) from y alone; this activation needs z");

/// y = f(z). `slope` is leaky_relu's slope below 0.
template <class T>
ASSAY_HD inline T activate(Activation a, T slope, T z) {
  switch (a) {
    case Activation::relu:
      return z < T(0) ? T(0) : z;  // NaN stays NaN
    case Activation::leaky_relu:
      return z > T(0) ? z : slope * z;
    case Activation::sigmoid:
      return T(1) / (T(1) + std::exp(-z));
    case Activation::tanh:
      return std::tanh(z);
    case Activation::none:
      return z;
  }
  return z;
}

/// f'(z) from y = f(z) alone (ActivationTraits::slope_from_output).
template <class T>
ASSAY_HD inline T activation_slope(Activation a, T slope, T y) {
  switch (a) {
    case Activation::relu:
      return y > T(0) ? T(1) : T(0);
    case Activation::leaky_relu:
      return y > T(0) ? T(1) : slope;
    case Activation::sigmoid:
      return y * (T(1) - y);
    case Activation::tanh:
      return T(1) - y * y;
    case Activation::none:
      return T(1);
  }
  return T(1);
}

}  // namespace assay
