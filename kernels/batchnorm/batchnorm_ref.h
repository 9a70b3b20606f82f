// The definition of batch normalisation: plain loops, one channel after the other.
#pragma once

#include <cmath>

#include "kernels/batchnorm/batchnorm.h"

namespace assay::ref {

template <class T>
void batchnorm_training(const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormTraining<T>& t) {
  const T rows = static_cast<T>(s.rows), momentum = static_cast<T>(o.momentum);
  for (int c = 0; c < s.C; ++c) {
    T sum = 0;
    for (int64_t i = 0; i < s.rows; ++i) sum += t.x[i * s.C + c];
    t.mean[c] = sum / rows;
    T squares = 0;
    for (int64_t i = 0; i < s.rows; ++i) {
      const T d = t.x[i * s.C + c] - t.mean[c];
      squares += d * d;
    }
    const T var = squares / rows;
    t.rstd[c] = T(1) / std::sqrt(var + static_cast<T>(o.eps));
    t.running_mean[c] = (T(1) - momentum) * t.running_mean[c] + momentum * t.mean[c];
    t.running_var[c] = (T(1) - momentum) * t.running_var[c] + momentum * (squares / (rows - T(1)));
    for (int64_t i = 0; i < s.rows; ++i)
      t.y[i * s.C + c] =
          activate(o.activation, static_cast<T>(o.slope),
                   t.gamma[c] * (t.x[i * s.C + c] - t.mean[c]) * t.rstd[c] + t.beta[c]);
  }
}

template <class T>
void batchnorm_inference(const BatchNormShape& s, const BatchNormOptions& o,
                         const BatchNormInference<T>& t) {
  for (int c = 0; c < s.C; ++c) {
    const T rstd = T(1) / std::sqrt(t.running_var[c] + static_cast<T>(o.eps));
    for (int64_t i = 0; i < s.rows; ++i)
      t.y[i * s.C + c] =
          activate(o.activation, static_cast<T>(o.slope),
                   t.gamma[c] * (t.x[i * s.C + c] - t.running_mean[c]) * rstd + t.beta[c]);
  }
}

/// With dz = dy f'(y), xhat = (x - mean) rstd:  dbeta = sum dz, dgamma = sum dz xhat,
/// dx = gamma rstd (dz - dbeta / rows - xhat dgamma / rows).
template <class T>
void batchnorm_backward(const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormBackward<T>& t) {
  const T rows = static_cast<T>(s.rows);
  for (int c = 0; c < s.C; ++c) {
    const auto dz = [&](int64_t i) {
      if (o.activation == Activation::none) return t.dy[i * s.C + c];
      return t.dy[i * s.C + c] *
             activation_slope(o.activation, static_cast<T>(o.slope), t.y[i * s.C + c]);
    };
    const auto xhat = [&](int64_t i) { return (t.x[i * s.C + c] - t.mean[c]) * t.rstd[c]; };
    t.dbeta[c] = t.dgamma[c] = 0;
    for (int64_t i = 0; i < s.rows; ++i) {
      t.dbeta[c] += dz(i);
      t.dgamma[c] += dz(i) * xhat(i);
    }
    for (int64_t i = 0; i < s.rows; ++i)
      t.dx[i * s.C + c] =
          t.gamma[c] * t.rstd[c] * (dz(i) - t.dbeta[c] / rows - xhat(i) * (t.dgamma[c] / rows));
  }
}

}  // namespace assay::ref
