// Batch normalisation, the definition: plain loops, one channel after the other.
#pragma once

#include <cmath>

#include "kernels/batchnorm/batchnorm.h"

namespace assay::ref {

template <class T>
void batchnorm_training(const BatchNormShape& s, const BatchNormOptions& o, const T* x,
                        const T* gamma, const T* beta, T* y, T* mean, T* rstd, T* running_mean,
                        T* running_var) {
  const T rows = static_cast<T>(s.rows), momentum = static_cast<T>(o.momentum);
  for (int c = 0; c < s.C; ++c) {
    T sum = 0;
    for (int64_t i = 0; i < s.rows; ++i) sum += x[i * s.C + c];
    mean[c] = sum / rows;
    T squares = 0;
    for (int64_t i = 0; i < s.rows; ++i) {
      const T d = x[i * s.C + c] - mean[c];
      squares += d * d;
    }
    const T var = squares / rows;
    rstd[c] = T(1) / std::sqrt(var + static_cast<T>(o.eps));
    running_mean[c] = (T(1) - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (T(1) - momentum) * running_var[c] + momentum * (squares / (rows - T(1)));
    for (int64_t i = 0; i < s.rows; ++i)
      y[i * s.C + c] = activate(o.activation, static_cast<T>(o.slope),
                                gamma[c] * (x[i * s.C + c] - mean[c]) * rstd[c] + beta[c]);
  }
}

template <class T>
void batchnorm_inference(const BatchNormShape& s, const BatchNormOptions& o, const T* x,
                         const T* gamma, const T* beta, const T* running_mean, const T* running_var,
                         T* y) {
  for (int c = 0; c < s.C; ++c) {
    const T rstd = T(1) / std::sqrt(running_var[c] + static_cast<T>(o.eps));
    for (int64_t i = 0; i < s.rows; ++i)
      y[i * s.C + c] = activate(o.activation, static_cast<T>(o.slope),
                                gamma[c] * (x[i * s.C + c] - running_mean[c]) * rstd + beta[c]);
  }
}

/// With dz = dy f'(y), xhat = (x - mean) rstd:  dbeta = sum dz, dgamma = sum dz xhat,
/// dx = gamma rstd (dz - dbeta / rows - xhat dgamma / rows).
template <class T>
void batchnorm_backward(const BatchNormShape& s, const BatchNormOptions& o, const T* x, const T* y,
                        const T* dy, const T* gamma, const T* mean, const T* rstd, T* dx, T* dgamma,
                        T* dbeta) {
  const T rows = static_cast<T>(s.rows);
  for (int c = 0; c < s.C; ++c) {
    const auto dz = [&](int64_t i) {
      if (o.activation == Activation::none) return dy[i * s.C + c];
      return dy[i * s.C + c] *
             activation_slope(o.activation, static_cast<T>(o.slope), y[i * s.C + c]);
    };
    const auto xhat = [&](int64_t i) { return (x[i * s.C + c] - mean[c]) * rstd[c]; };
    dbeta[c] = dgamma[c] = 0;
    for (int64_t i = 0; i < s.rows; ++i) {
      dbeta[c] += dz(i);
      dgamma[c] += dz(i) * xhat(i);
    }
    for (int64_t i = 0; i < s.rows; ++i)
      dx[i * s.C + c] =
          gamma[c] * rstd[c] * (dz(i) - dbeta[c] / rows - xhat(i) * (dgamma[c] / rows));
  }
}

}  // namespace assay::ref
