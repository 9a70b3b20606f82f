// Text of a layer in the table of `assay describe`.
#pragma once

#include <string>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/error.h"
#include "tensor/tensor.h"

namespace assay {

/// ", ReLU" as PyTorch names it; nothing for the identity.
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

/// Throws the Error that forward would throw for x of that shape.
inline void check_image(const std::string& layer, const Shape& x, int64_t channels) {
  ASSAY_CHECK(x.size() == 4 && x[3] == channels, "{}: wants images (N,H,W,{}) but gets {}", layer,
              channels, to_string(x));
}

}  // namespace assay
