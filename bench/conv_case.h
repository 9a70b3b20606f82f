// One pass of one convolution with its operands, and its error against the definition.
#pragma once

#include <cmath>
#include <vector>

#include "bench/layer_shapes.h"
#include "bench/operands.h"
#include "kernels/conv2d/conv2d_ref.h"

namespace assay::bench {

/// Random inputs, and memory for the results.
struct Operands {
  Conv2dShape s;
  Conv2dEpilogue e;
  std::vector<float> x, w, bias, y, dy, dx, dw, dbias;
  std::vector<uint8_t> argmax;
  uint64_t version = next_version();  ///< of w; unique, because cases may get the same memory

  static uint64_t next_version() {
    static uint64_t last = 0;
    return ++last;
  }

  Operands(const Conv2dShape& shape, const Conv2dEpilogue& epilogue) : s(shape), e(epilogue) {
    const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
    x = random_floats(int64_t{s.N} * s.H * s.W * s.C, 1);
    w = random_floats(int64_t{s.K} * s.R * s.S * s.C, 2);
    bias = random_floats(s.K, 3);
    dy = random_floats(outputs, 4);
    y.resize(dy.size());
    argmax.resize(dy.size());
    dx.resize(x.size());
    dw.resize(w.size());
    dbias.resize(bias.size());
  }
  Conv2dGrad<float> grad() const { return {dy.data(), y.data(), argmax.data()}; }

  void run(Context& ctx, Pass pass) {
    const Weights<float> weights(w.data(), version);  // packed once, as in inference
    if (pass == Pass::fprop)
      conv2d_fprop<float>(ctx, s, e, x.data(), weights, bias.data(), y.data(), argmax.data());
    else if (pass == Pass::dgrad)
      conv2d_dgrad<float>(ctx, s, e, grad(), weights, dx.data());
    else
      conv2d_wgrad<float>(ctx, s, e, x.data(), grad(), dw.data(), dbias.data());
  }
};

/// Relative Frobenius error against the reference in float64.
inline double error_of(const std::vector<float>& got, const std::vector<double>& want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(difference / norm);
}

/// The relative Frobenius error of a pass of a layer, on two images, because a single image may run
/// another kernel.
inline double verify(Context& ctx, const Layer& layer, Pass pass) {
  Conv2dShape s = layer.shape;
  s.N = 2;
  Operands o(s, layer.epilogue);
  o.run(ctx, Pass::fprop);
  if (pass != Pass::fprop) o.run(ctx, pass);
  const std::vector<double> x(o.x.begin(), o.x.end()), w(o.w.begin(), o.w.end()),
      bias(o.bias.begin(), o.bias.end()), dy(o.dy.begin(), o.dy.end()), y(o.y.begin(), o.y.end());
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

/// The largest error of a correct fp32 kernel.
inline constexpr double kMaxError = 1e-5;

/// Whether training needs this pass: a first layer needs no gradient at its input. A transposed
/// convolution's input gradient is fprop.
inline bool is_used(const Layer& layer, Pass pass) {
  return !layer.first || pass != (layer.transposed ? Pass::fprop : Pass::dgrad);
}

}  // namespace assay::bench
