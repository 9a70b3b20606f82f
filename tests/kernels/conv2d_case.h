// How the tests of the convolution write a layer down.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace assay::test {

/// {{N, H, W, C, K, R, S, stride, pad, upsample}, {activation, slope, pool}}
struct Conv2dCase {
  Conv2dShape s;
  Conv2dEpilogue e;
};

inline constexpr Activation kNone = Activation::none, kRelu = Activation::relu,
                            kLeaky = Activation::leaky_relu, kSigmoid = Activation::sigmoid,
                            kTanh = Activation::tanh;

}  // namespace assay::test
