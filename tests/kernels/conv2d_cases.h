// The convolutions that every algorithm is tested with, and a notation for them.
#pragma once

#include <ostream>
#include <vector>

#include "kernels/conv2d/conv2d.h"

namespace assay::test {

/// The algorithms that the emulator runs a case with. It does some million multiply-adds a second,
/// so it gets the small cases; a GPU and the CPU run all of them with every algorithm.
enum class Emulated : uint8_t { nothing, direct, every_algorithm };

/// A convolution, as conv3x3(20, 20, 3, 16).batch(2).pool(2).relu(). Printed in the same notation.
struct Conv2dCase {
  Conv2dShape s;
  Conv2dEpilogue e = {};
  Emulated emulated = Emulated::every_algorithm;

  constexpr Conv2dCase batch(int n) const {
    return with([n](Conv2dCase& c) { c.s.N = n; });
  }
  constexpr Conv2dCase stride(int n) const {
    return with([n](Conv2dCase& c) { c.s.stride = n; });
  }
  constexpr Conv2dCase pad(int n) const {
    return with([n](Conv2dCase& c) { c.s.pad = n; });
  }
  constexpr Conv2dCase upsample(int factor) const {
    return with([factor](Conv2dCase& c) { c.s.upsample = factor; });
  }
  constexpr Conv2dCase pool(int side) const {
    return with([side](Conv2dCase& c) { c.e.pool = side; });
  }
  constexpr Conv2dCase relu() const { return activation(Activation::relu); }
  constexpr Conv2dCase sigmoid() const { return activation(Activation::sigmoid); }
  constexpr Conv2dCase tanh() const { return activation(Activation::tanh); }
  constexpr Conv2dCase leaky(float slope) const {
    return activation(Activation::leaky_relu).with([slope](Conv2dCase& c) { c.e.slope = slope; });
  }

 private:
  constexpr Conv2dCase activation(Activation a) const {
    return with([a](Conv2dCase& c) { c.e.activation = a; });
  }
  template <class F>
  constexpr Conv2dCase with(const F& change) const {
    Conv2dCase c = *this;
    change(c);
    return c;
  }
};

/// Filters of R x S pixels on an image of H x W pixels and C channels; K filters, one image, stride
/// 1, no padding.
constexpr Conv2dCase conv(int R, int S, int H, int W, int C, int K) {
  return {{.N = 1, .H = H, .W = W, .C = C, .K = K, .R = R, .S = S}};
}
/// Keeps the size of the image.
constexpr Conv2dCase conv3x3(int H, int W, int C, int K) {
  return conv(3, 3, H, W, C, K).pad(1);
}
constexpr Conv2dCase conv1x1(int H, int W, int C, int K) {
  return conv(1, 1, H, W, C, K);
}
/// Halves the image, as the DCGAN's do.
constexpr Conv2dCase conv4x4s2(int H, int W, int C, int K) {
  return conv(4, 4, H, W, C, K).stride(2).pad(1);
}

inline std::ostream& operator<<(std::ostream& out, const Conv2dCase& c) {
  const auto& s = c.s;
  const auto sizes = [&s](std::ostream& o) -> std::ostream& {
    return o << s.H << ", " << s.W << ", " << s.C << ", " << s.K << ')';
  };
  const auto is = [&s](int side, int stride, int pad) {
    return s.R == side && s.S == side && s.stride == stride && s.pad == pad;
  };
  if (is(3, 1, 1)) {
    sizes(out << "conv3x3(");
  } else if (is(1, 1, 0)) {
    sizes(out << "conv1x1(");
  } else if (is(4, 2, 1)) {
    sizes(out << "conv4x4s2(");
  } else {
    sizes(out << "conv(" << s.R << ", " << s.S << ", ");
    if (s.stride != 1) out << ".stride(" << s.stride << ')';
    if (s.pad != 0) out << ".pad(" << s.pad << ')';
  }
  if (s.N != 1) out << ".batch(" << s.N << ')';
  if (s.upsample != 1) out << ".upsample(" << s.upsample << ')';
  if (c.e.pool != 1) out << ".pool(" << c.e.pool << ')';
  switch (c.e.activation) {
    case Activation::none:
      return out;
    case Activation::leaky_relu:
      return out << ".leaky(" << c.e.slope << "f)";
    default:
      return out << '.' << name_of(c.e.activation) << "()";
  }
}

inline std::vector<Conv2dCase> conv2d_cases() {
  std::vector<Conv2dCase> all;
  const auto add = [&all](Emulated emulated, std::initializer_list<Conv2dCase> cases) {
    for (Conv2dCase c : cases) {
      c.emulated = emulated;
      all.push_back(c);
    }
  };
  add(Emulated::every_algorithm,
      {
          // layers of the models on small images, then awkward ones
          conv3x3(12, 12, 3, 16).pool(2).relu(),
          conv3x3(9, 9, 16, 16).pool(2).relu(),
          conv3x3(8, 8, 32, 64).pool(2).relu(),
          conv3x3(8, 8, 64, 32).pool(4).relu(),
          conv3x3(3, 3, 20, 36).upsample(4).relu(),
          conv3x3(5, 4, 64, 32).upsample(2).relu(),
          conv3x3(6, 6, 32, 3).upsample(2).sigmoid(),
          conv1x1(5, 5, 128, 1).upsample(2).sigmoid(),
          conv3x3(8, 8, 1, 128).pool(2).relu(),
          conv3x3(8, 8, 8, 4).pool(2).relu(),
          conv3x3(4, 4, 4, 8).batch(2).upsample(2).relu(),
          conv4x4s2(12, 12, 3, 64).leaky(0.2f),
          conv4x4s2(8, 8, 32, 40),
          conv(4, 4, 4, 4, 64, 1).batch(3),  // one output pixel: a dense layer
          conv(4, 3, 4, 3, 8, 20).batch(2).leaky(0.2f),
          conv1x1(1, 1, 1, 1),
          conv3x3(1, 1, 5, 3).tanh(),
          conv(5, 3, 5, 7, 3, 17).pad(2).batch(2).leaky(0.1f),
          conv(2, 2, 7, 5, 5, 33).pool(2),
          conv(3, 3, 9, 11, 3, 5).stride(2).relu(),
          conv(3, 3, 11, 10, 12, 7).stride(3).pad(2).batch(2),
          conv(2, 2, 10, 10, 3, 6).stride(3).sigmoid(),
          conv(3, 3, 6, 6, 20, 36).pad(4).pool(2).relu(),
          conv(3, 3, 5, 6, 7, 9).upsample(2).pool(2).tanh(),
          conv(5, 5, 3, 5, 2, 3).pad(2).upsample(4).pool(4).relu(),
          conv(3, 3, 4, 4, 3, 5).stride(2).pad(1).upsample(2),
          conv1x1(9, 7, 31, 65),
          conv3x3(9, 9, 3, 19).pool(4).sigmoid(),
          conv3x3(3, 3, 4, 6).batch(20).relu(),
          conv(3, 3, 3, 3, 2, 5).pool(2),  // no window fits: y is empty
          conv(3, 3, 13, 12, 16, 20).stride(3).pad(1).batch(2).pool(2).leaky(0.1f),
          conv1x1(3, 5, 7, 2).batch(2).upsample(4).leaky(0.2f),  // 1x1 behind an upsampling
          conv3x3(6, 5, 12, 8).leaky(0.2f),  // this and the next three: Winograd's cut tiles
          conv3x3(10, 7, 20, 12).pool(2).tanh(),
          conv3x3(4, 8, 9, 33).pool(4).relu(),
          conv3x3(7, 6, 24, 36).batch(2),
      });
  add(Emulated::every_algorithm,
      {
          // channels and filters in eights, as bf16 takes them on tensor cores
          conv3x3(5, 7, 8, 40).batch(2).pool(2).leaky(0.2f),
          conv3x3(4, 3, 16, 72).batch(3).tanh(),
          conv(2, 3, 6, 5, 24, 8).stride(2).pad(1).leaky(0.3f),
          conv(4, 4, 3, 3, 8, 24).stride(3).pad(2).batch(2).relu(),
          conv3x3(9, 8, 40, 16).pool(4).sigmoid(),
          conv3x3(2, 3, 16, 136).upsample(2),
      });
  add(Emulated::direct, {
                            // few channels, in several blocks of pixels or parts of the batch
                            conv3x3(40, 40, 3, 16).batch(2).pool(2).relu(),
                            conv3x3(25, 25, 16, 16).batch(2).pool(2).relu(),
                            conv3x3(40, 40, 3, 32).pool(2).relu(),
                            conv3x3(12, 12, 32, 3).upsample(2).sigmoid(),
                            conv3x3(32, 32, 1, 128).pool(2).relu(),
                            conv3x3(24, 24, 64, 16).pool(2).relu(),
                            conv3x3(24, 24, 16, 8).pool(2).relu(),
                            conv3x3(16, 16, 8, 4).batch(3).pool(2).relu(),
                            conv3x3(8, 8, 4, 4).batch(9).relu(),
                            conv3x3(8, 8, 4, 8).batch(4).upsample(2).relu(),
                            conv3x3(16, 16, 8, 16).upsample(2).relu(),
                            conv3x3(9, 9, 16, 64).upsample(2).relu(),
                            conv1x1(9, 9, 100, 1).upsample(2).sigmoid(),
                            conv4x4s2(32, 32, 3, 64).batch(2).leaky(0.2f),
                            conv(4, 4, 4, 4, 256, 1).batch(3),
                            conv(1, 3, 1, 700, 1, 3).pad(1).batch(3),
                            conv1x1(1, 1, 3, 1).batch(700).tanh(),
                            conv(5, 3, 33, 17, 5, 6).stride(2).pad(2).batch(2).pool(2).leaky(0.1f),
                            conv(2, 4, 41, 37, 8, 7).pad(1).pool(4).sigmoid(),
                            conv(3, 2, 11, 13, 2, 70).stride(3).pad(3).batch(5).relu(),
                            conv(3, 3, 13, 11, 4, 1).upsample(4),
                        });
  add(Emulated::nothing,
      {
          // layers of the models, awkward ones, several blocks of channels and filters
          conv3x3(20, 20, 3, 16).batch(2).pool(2).relu(),
          conv3x3(25, 25, 16, 16).pool(2).relu(),
          conv3x3(16, 16, 3, 32).batch(2).pool(2).relu(),
          conv3x3(16, 16, 32, 64).pool(2).relu(),
          conv3x3(16, 16, 64, 128).pool(4).relu(),
          conv3x3(8, 8, 128, 128).relu(),
          conv3x3(4, 4, 128, 64).upsample(4).relu(),
          conv3x3(8, 8, 64, 32).upsample(2).relu(),
          conv3x3(8, 8, 32, 3).batch(2).upsample(2).sigmoid(),
          conv1x1(8, 8, 128, 1).batch(2).upsample(2).sigmoid(),
          conv3x3(12, 12, 1, 128).pool(2).relu(),
          conv3x3(8, 8, 16, 8).pool(2).relu(),
          conv3x3(4, 4, 4, 4).upsample(2).relu(),
          conv4x4s2(16, 16, 3, 64).batch(2).leaky(0.2f),
          conv4x4s2(8, 8, 64, 128),
          conv(3, 3, 16, 16, 64, 128).stride(2).pad(1).pool(2).relu(),
          conv(3, 3, 11, 10, 2, 7).stride(3).pad(2).batch(2),
          conv(3, 3, 6, 6, 3, 4).pad(4),
          conv1x1(13, 9, 31, 65),
          conv3x3(3, 3, 4, 6).batch(40).relu(),
          conv3x3(70, 90, 16, 40).pool(2).relu(),
          conv(3, 3, 6, 6, 3, 18).pad(4).pool(2).relu(),  // staged columns cut windows of dz
          conv(3, 3, 20, 19, 3, 17).stride(3).pad(1).batch(2).pool(2).leaky(0.1f),
          conv(4, 4, 4, 4, 8, 20).batch(5).sigmoid(),  // one output pixel: a dense layer
          conv4x4s2(4, 4, 128, 320).batch(2).relu(),   // few partials, sliced by tap rows
          conv3x3(13, 120, 16, 7).pool(2).leaky(0.1f),
          conv(3, 3, 11, 70, 32, 20).pad(2).batch(2).pool(4).tanh(),
          conv(3, 3, 9, 8, 48, 16).batch(2).pool(2),
          conv(3, 3, 3, 3, 16, 16).pool(2),
          conv(3, 3, 10, 290, 2, 32).batch(2).pool(2).sigmoid(),
          conv(3, 3, 5, 7, 3, 48).pad(2).pool(2).leaky(0.2f),
          conv3x3(7, 40, 1, 176).batch(2).pool(2).relu(),
          conv(3, 3, 9, 11, 1, 16).pad(2).batch(2).pool(2).tanh(),
          // Winograd's: cut tiles, dropped windows, several row blocks and groups
          conv3x3(16, 16, 32, 64).batch(2).pool(2).relu(),
          conv3x3(8, 8, 128, 128).batch(3).relu(),
          conv3x3(13, 9, 48, 16).batch(2).sigmoid(),  // tiles cut on two sides
          conv3x3(11, 15, 16, 80).pool(2),            // and windows dropped
          conv3x3(10, 23, 32, 32).pool(4).relu(),
          conv3x3(1, 2, 16, 16),
          conv3x3(30, 53, 16, 16).batch(2).pool(2).relu(),  // 16 channels: fused
          conv3x3(21, 49, 16, 16).pool(4).sigmoid(),
          conv3x3(90, 102, 16, 16),
          conv3x3(21, 37, 3, 16).batch(2).pool(2).relu(),  // few channels
          conv3x3(34, 30, 1, 48).pool(4),
          conv3x3(9, 70, 2, 32).sigmoid(),
          conv3x3(20, 27, 48, 16).pool(2).relu(),  // and few filters, dgrad
          conv3x3(70, 60, 32, 48).pool(2).relu(),  // several row blocks
          conv3x3(8, 8, 64, 32).batch(2).upsample(2).relu(),
          conv3x3(7, 10, 32, 80).upsample(2).sigmoid(),
          conv3x3(1, 1, 16, 16).upsample(2),
          conv3x3(33, 35, 32, 32).batch(2).upsample(2).relu(),
          conv4x4s2(16, 16, 32, 64).batch(2).leaky(0.2f),
          conv4x4s2(8, 8, 64, 96).batch(9),
          conv4x4s2(13, 10, 48, 16).sigmoid(),  // a row of x that no output sees
          conv4x4s2(7, 21, 16, 80).batch(3).relu(),
          conv4x4s2(2, 3, 16, 16),
          conv4x4s2(4, 4, 32, 288),                   // several ranges of depths
          conv4x4s2(48, 48, 96, 64).batch(3).relu(),  // several groups
                                                      // larger batches, which threads share
          conv3x3(24, 20, 6, 24).batch(5).pool(2).relu(),
          conv3x3(4, 4, 16, 24).batch(40).upsample(2).relu(),
          conv4x4s2(8, 8, 64, 320).batch(9).leaky(0.2f),
          conv3x3(24, 20, 3, 16).batch(5).pool(2).relu(),
          conv3x3(24, 20, 32, 48).batch(9).pool(2).relu(),
          conv3x3(24, 20, 48, 32).batch(9).upsample(2).relu(),
          conv3x3(70, 54, 16, 16).batch(5).pool(2).relu(),
          conv3x3(70, 54, 1, 32).batch(5).pool(2).relu(),
          conv3x3(16, 16, 8, 16).batch(2).pool(2).relu(),
          conv3x3(16, 16, 3, 16).batch(2).pool(2).relu(),
          conv1x1(8, 8, 16, 3).batch(2).upsample(2).sigmoid(),
          conv(4, 4, 4, 4, 16, 8).batch(2).leaky(0.2f),
          conv3x3(48, 48, 32, 32).batch(2).pool(2).relu(),
          conv3x3(48, 48, 16, 16).batch(2).pool(2).relu(),
      });
  return all;
}

}  // namespace assay::test
