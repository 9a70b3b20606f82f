// Checks of derivatives against finite differences, in float64 on the reference kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>
#include <vector>

#include "tensor/tape.h"
#include "tests/support/random_tensors.h"

namespace assay::testing {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

inline double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> u = a.to_doubles(), v = b.to_doubles();
  double sum = 0;
  for (size_t i = 0; i < u.size(); ++i) sum += u[i] * v[i];
  return sum;
}

/// t += factor * direction
inline void shift(const Tensor& t, double factor, const Tensor& direction) {
  double* values = t.mutable_data<double>();
  const double* d = direction.data<double>();
  for (int64_t i = 0; i < t.size(); ++i) values[i] += factor * d[i];
}

/// The largest relative difference, over the inputs, between <u, J v> by central differences and
/// <J^T u, v> by the tape, for a random weighting u of the output and a random direction v of each
/// input. The differences themselves are off by step^2 |f'''| / 6 + 1e-16 |f| / step, near 1e-10.
inline double gradient_error(const Function& f, const std::vector<Tensor>& inputs) {
  constexpr double kStep = 1e-6;
  RandomTensors random(7);
  for (Tensor t : inputs) {
    t.set_grad({});
    t.set_requires_grad(true);
  }
  Tensor u;
  {
    Tape tape;
    const Tensor y = f(inputs);
    u = random.normal(y.shape());
    tape.backward(y, u);
  }
  double worst = 0;
  for (const Tensor& t : inputs) {
    const Tensor v = random.normal(t.shape());
    shift(t, kStep, v);
    const double above = dot(u, f(inputs));
    shift(t, -2 * kStep, v);
    const double below = dot(u, f(inputs));
    shift(t, kStep, v);
    const double numeric = (above - below) / (2 * kStep), analytic = dot(t.grad(), v);
    const double error = std::abs(numeric - analytic) / (std::abs(numeric) + std::abs(analytic));
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  return worst;
}

}  // namespace assay::testing
