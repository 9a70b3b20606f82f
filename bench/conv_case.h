// One pass of one convolution with its operands, and its error against the definition.
#pragma once

#include <cmath>
#include <type_traits>
#include <vector>

#include "bench/layer_shapes.h"
#include "bench/operands.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/runtime/bf16.h"

namespace assay::bench {

/// Random values of type T in [-1, 1).
template <class T>
std::vector<T> random_values(int64_t n, uint64_t seed) {
  std::vector<T> values;
  values.reserve(static_cast<size_t>(n));
  for (const float v : random_floats(n, seed)) values.push_back(T(v));
  return values;
}

/// Random inputs, and memory for the results. T is the type of activations, float or bf16.
template <class T>
struct OperandsOf {
  Conv2dShape s;
  Conv2dEpilogue e;
  std::vector<T> x, y, dy, dx;
  std::vector<float> w, bias, dw, dbias;
  std::vector<uint8_t> argmax;
  uint64_t version = next_version();  ///< of w; unique, because cases may get the same memory

  static uint64_t next_version() {
    static uint64_t last = 0;
    return ++last;
  }

  OperandsOf(const Conv2dShape& shape, const Conv2dEpilogue& epilogue) : s(shape), e(epilogue) {
    const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
    x = random_values<T>(int64_t{s.N} * s.H * s.W * s.C, 1);
    w = random_floats(int64_t{s.K} * s.R * s.S * s.C, 2);
    bias = random_floats(s.K, 3);
    dy = random_values<T>(outputs, 4);
    y.resize(dy.size());
    argmax.resize(dy.size());
    dx.resize(x.size());
    dw.resize(w.size());
    dbias.resize(bias.size());
  }
  Conv2dGrad<T> grad() const { return {dy.data(), y.data(), argmax.data()}; }

  void run(Context& ctx, Pass pass) {
    const Weights<float> weights(w.data(), version);  // packed once, as in inference
    if (pass == Pass::fprop)
      conv2d_fprop<T>(ctx, s, e, x.data(), weights, bias.data(), y.data(), argmax.data());
    else if (pass == Pass::dgrad)
      conv2d_dgrad<T>(ctx, s, e, grad(), weights, dx.data());
    else
      conv2d_wgrad<T>(ctx, s, e, x.data(), grad(), dw.data(), dbias.data());
  }
};
using Operands = OperandsOf<float>;

template <class T>
std::vector<double> doubles_of(const std::vector<T>& values) {
  std::vector<double> out;
  for (const T v : values) out.push_back(static_cast<float>(v));
  return out;
}

/// Relative Frobenius error against the reference in float64.
template <class T>
double error_of(const std::vector<T>& values, const std::vector<double>& want) {
  const std::vector<double> got = doubles_of(values);
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(difference / norm);
}

/// The relative Frobenius error of a pass of a layer on activations of type T, on two images,
/// because a single image may run another kernel.
template <class T = float>
double verify(Context& ctx, const Layer& layer, Pass pass) {
  Conv2dShape s = layer.shape;
  s.N = 2;
  OperandsOf<T> o(s, layer.epilogue);
  o.run(ctx, Pass::fprop);
  if (pass != Pass::fprop) o.run(ctx, pass);
  const std::vector<double> x = doubles_of(o.x), w = doubles_of(o.w), bias = doubles_of(o.bias),
                            dy = doubles_of(o.dy), y = doubles_of(o.y);
  const Conv2dGrad<double> g{dy.data(), y.data(), o.argmax.data()};
  if (pass == Pass::fprop) {
    std::vector<double> want(o.y.size());
    ref::conv2d_fprop<double>(s, o.e, x.data(), w.data(), bias.data(), want.data(), nullptr);
    return error_of(o.y, want);
  }
  if (pass == Pass::dgrad) {
    std::vector<double> want(o.dx.size());
    ref::conv2d_dgrad<double>(s, o.e, g, w.data(), want.data());
    return error_of(o.dx, want);
  }
  std::vector<double> want(o.dw.size()), dbias(o.dbias.size());
  ref::conv2d_wgrad<double>(s, o.e, x.data(), g, want.data(), dbias.data());
  return error_of(o.dw, want);
}

/// The largest error of a correct kernel on activations of type T: of fp32; of bf16, where weights,
/// dz and the output are rounded, each by 2^-8 of a value at most.
template <class T = float>
inline constexpr double kMaxError = std::is_same_v<T, bf16> ? 0x1p-7 : 1e-5;

/// Whether training needs this pass: a first layer needs no gradient at its input. A transposed
/// convolution's input gradient is fprop.
inline bool is_used(const Layer& layer, Pass pass) {
  return !layer.first || pass != (layer.transposed ? Pass::fprop : Pass::dgrad);
}

}  // namespace assay::bench
