// The activation functions, written once for the reference, the CPU and CUDA.
#pragma once

#include <cmath>

#include "kernels/runtime/device.h"

namespace assay {

enum class Activation : uint8_t { none, relu, leaky_relu, sigmoid, tanh };

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
    default:
      return z;
  }
}

/// f'(z) from y = f(z) alone: every activation here allows it (leaky_relu for slope > 0), so the
/// backward pass needs the output and never the pre-activation.
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
    default:
      return T(1);
  }
}

const char* name_of(Activation a);

}  // namespace assay
