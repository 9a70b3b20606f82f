// Texts and checks that the layers' describe() share.
#pragma once

#include <string>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/error.h"
#include "tensor/tensor.h"

namespace assay {

/// ", ReLU", with PyTorch's name; "" for no activation.
inline std::string activation_suffix(Activation a) {
  switch (a) {
    case Activation::relu:
      return ", ReLU";
    case Activation::leaky_relu:
      return ", LeakyReLU";
    case Activation::sigmoid:
      return ", sigmoid";
    case Activation::tanh:
      return ", tanh";
    case Activation::none:
      return "";
  }
  return "";
}

/// Throws Error, as forward does, unless x is (N,H,W,channels).
inline void check_image(const std::string& layer, const Shape& x, int64_t channels) {
  ASSAY_CHECK(x.size() == 4 && x[3] == channels, "{}: wants images (N,H,W,{}) but gets {}", layer,
              channels, to_string(x));
}

}  // namespace assay
