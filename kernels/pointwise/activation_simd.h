// The activation functions on registers, the vector form of activation_formula.h;
// tests/kernels/pointwise_test.cpp compares them.
#pragma once

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/simd_math.h"

namespace assay::cpu::ASSAY_ISA {

template <Activation A>
ASSAY_INLINE vf activate(vf slope, vf z) {
  if constexpr (A == Activation::relu) {
    return select(z < 0.0f, vf{}, z);  // NaN stays NaN
  } else if constexpr (A == Activation::leaky_relu) {
    return select(z > 0.0f, z, slope * z);
  } else if constexpr (A == Activation::sigmoid) {
    return sigmoid(z);
  } else if constexpr (A == Activation::tanh) {
    return tanh(z);
  } else {
    static_assert(A == Activation::none, "this activation has no vector version");
    return z;
  }
}

template <Activation A>
ASSAY_INLINE vf activation_slope(vf slope, vf y) {
  if constexpr (A == Activation::relu) {
    return select(y > 0.0f, broadcast(1.0f), vf{});
  } else if constexpr (A == Activation::leaky_relu) {
    return select(y > 0.0f, broadcast(1.0f), slope);
  } else if constexpr (A == Activation::sigmoid) {
    return y * (1.0f - y);
  } else if constexpr (A == Activation::tanh) {
    return 1.0f - y * y;
  } else {
    static_assert(A == Activation::none, "this activation has no vector version");
    return broadcast(1.0f);
  }
}

template <Activation A>
struct ActivationConstant {
  static constexpr Activation value = A;
};

/// Calls f with `a` as a constant, so that the choice is made once, outside the loop.
template <class F>
ASSAY_INLINE void with_activation(Activation a, const F& f) {
  switch (a) {
    case Activation::relu:
      return f(ActivationConstant<Activation::relu>{});
    case Activation::leaky_relu:
      return f(ActivationConstant<Activation::leaky_relu>{});
    case Activation::sigmoid:
      return f(ActivationConstant<Activation::sigmoid>{});
    case Activation::tanh:
      return f(ActivationConstant<Activation::tanh>{});
    case Activation::none:
      return f(ActivationConstant<Activation::none>{});
  }
}

}  // namespace assay::cpu::ASSAY_ISA
