// The one table of the convolutions of our four models, by the names of kernels/conv2d/conv2d.h.
#pragma once

#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"

namespace assay::bench {

struct Layer {
  std::string name;
  Conv2dShape shape;
  Conv2dEpilogue epilogue;
  bool transposed = false;  ///< forward is dgrad: a transposed convolution
  bool first = false;       ///< its input is the picture: no dgrad in training
};

/// Layers of all four models at batch N, in the order of their forward passes.
inline std::vector<Layer> model_layers(int N) {
  const Conv2dEpilogue none{}, pool2{Activation::relu, 0, 2}, pool4{Activation::relu, 0, 4},
      relu{Activation::relu, 0, 1}, sigmoid{Activation::sigmoid, 0, 1},
      leaky{Activation::leaky_relu, 0.2f, 1};
  const auto same = [N](int size, int C, int K, int upsample = 1) {
    return Conv2dShape{N, size, size, C, K, 3, 3, 1, 1, upsample};
  };
  // 4x4, stride 2: size is that of the larger picture.
  const auto strided = [N](int size, int C, int K) {
    return Conv2dShape{N, size, size, C, K, 4, 4, 2, 1, 1};
  };
  const auto full = [N](int C, int K) { return Conv2dShape{N, 4, 4, C, K, 4, 4, 1, 0, 1}; };
  return {
      {"cnn.1", same(200, 3, 16), pool2, false, true},
      {"cnn.2", same(100, 16, 16), pool2},
      {"cnn.3", same(50, 16, 16), pool2},
      {"cnn.4", same(25, 16, 16), pool2},
      {"cnn.5", same(12, 16, 16), pool2},
      {"kdcae.e1", same(128, 3, 32), pool2, false, true},
      {"kdcae.e2", same(64, 32, 64), pool2},
      {"kdcae.e3", same(32, 64, 128), pool4},
      {"kdcae.d1", same(8, 128, 128), relu},
      {"kdcae.d2", same(8, 128, 64, 4), relu},
      {"kdcae.d3", same(32, 64, 32, 2), relu},
      {"kdcae.out", same(64, 32, 3, 2), sigmoid},
      {"nicae.e1", same(256, 1, 128), pool2, false, true},
      {"nicae.e2", same(128, 128, 64), pool2},
      {"nicae.e3", same(64, 64, 16), pool2},
      {"nicae.e4", same(32, 16, 8), pool2},
      {"nicae.e5", same(16, 8, 4), pool2},
      {"nicae.d1", same(8, 4, 4), relu},
      {"nicae.d2", same(8, 4, 8, 2), relu},
      {"nicae.d3", same(16, 8, 16, 2), relu},
      {"nicae.d4", same(32, 16, 64, 2), relu},
      {"nicae.d5", same(64, 64, 128, 2), relu},
      {"nicae.out", {N, 128, 128, 128, 1, 1, 1, 1, 0, 2}, sigmoid},
      {"dcgan.g1", full(512, 100), none, true, true},
      {"dcgan.g2", strided(8, 256, 512), none, true},
      {"dcgan.g3", strided(16, 128, 256), none, true},
      {"dcgan.g4", strided(32, 64, 128), none, true},
      {"dcgan.g5", strided(64, 3, 64), none, true},
      {"dcgan.d1", strided(64, 3, 64), leaky, false, true},
      {"dcgan.d2", strided(32, 64, 128), none},
      {"dcgan.d3", strided(16, 128, 256), none},
      {"dcgan.d4", strided(8, 256, 512), none},
      {"dcgan.d5", full(512, 1), none},
  };
}

}  // namespace assay::bench
