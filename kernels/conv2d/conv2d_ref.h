// The definition of the convolution: plain loops in the order of the formula of conv2d.h, in float
// or double. Every fast version is tested against it.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/conv2d/conv2d.h"

namespace assay::ref {

/// Calls f(index of x, index of w, index of z) for every product of the convolution.
template <class F>
void for_each_product(const Conv2dShape& s, const F& f) {
  const int P = s.P(), Q = s.Q();
  for (int n = 0; n < s.N; ++n)
    for (int p = 0; p < P; ++p)
      for (int q = 0; q < Q; ++q)
        for (int r = 0; r < s.R; ++r)
          for (int t = 0; t < s.S; ++t) {
            const int h = p * s.stride - s.pad + r, w = q * s.stride - s.pad + t;  // upsampled
            if (h < 0 || h >= s.H * s.upsample || w < 0 || w >= s.W * s.upsample) continue;
            const int64_t x = ((int64_t{n} * s.H + h / s.upsample) * s.W + w / s.upsample) * s.C;
            for (int k = 0; k < s.K; ++k)
              for (int c = 0; c < s.C; ++c)
                f(x + c, ((int64_t{k} * s.R + r) * s.S + t) * s.C + c,
                  ((int64_t{n} * P + p) * Q + q) * s.K + k);
          }
}

/// Max-pool and activation: z -> y and argmax.
template <class T>
void pool_and_activate(const Conv2dShape& s, const Conv2dEpilogue& e, const T* z, T* y,
                       uint8_t* argmax) {
  const int P = s.P(), Q = s.Q(), rows = P / e.pool, columns = Q / e.pool;
  for (int n = 0; n < s.N; ++n)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        for (int k = 0; k < s.K; ++k) {
          T best{};
          int position = -1;
          for (int a = 0; a < e.pool; ++a)
            for (int b = 0; b < e.pool; ++b) {
              const T v = z[((int64_t{n} * P + i * e.pool + a) * Q + j * e.pool + b) * s.K + k];
              if (position < 0 || v > best) {
                best = v;
                position = a * e.pool + b;
              }
            }
          const int64_t out = ((int64_t{n} * rows + i) * columns + j) * s.K + k;
          y[out] = activate(e.activation, static_cast<T>(e.slope), best);
          if (argmax != nullptr) argmax[out] = static_cast<uint8_t>(position);
        }
}

/// dz (N,P,Q,K) from the gradient at the output.
template <class T>
std::vector<T> gradient_of_z(const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<T> g) {
  const int P = s.P(), Q = s.Q(), rows = P / e.pool, columns = Q / e.pool;
  std::vector<T> dz(static_cast<size_t>(int64_t{s.N} * P * Q * s.K), T{});
  for (int n = 0; n < s.N; ++n)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        for (int k = 0; k < s.K; ++k) {
          const int64_t out = ((int64_t{n} * rows + i) * columns + j) * s.K + k;
          const int position = e.pool > 1 ? g.argmax[out] : 0;
          const int p = i * e.pool + position / e.pool, q = j * e.pool + position % e.pool;
          const T slope = e.activation == Activation::none
                              ? T(1)
                              : activation_slope(e.activation, static_cast<T>(e.slope), g.y[out]);
          dz[static_cast<size_t>(((int64_t{n} * P + p) * Q + q) * s.K + k)] = g.dy[out] * slope;
        }
  return dz;
}

template <class T>
void conv2d_fprop(const Conv2dShape& s, const Conv2dEpilogue& e, const T* x, Weights<T> w,
                  const T* bias, T* y, uint8_t* argmax) {
  std::vector<T> z(static_cast<size_t>(int64_t{s.N} * s.P() * s.Q() * s.K));
  for (size_t i = 0; i < z.size(); ++i)
    z[i] = bias != nullptr ? bias[i % static_cast<size_t>(s.K)] : T{};
  for_each_product(s, [&](int64_t ix, int64_t iw, int64_t iz) {
    z[static_cast<size_t>(iz)] += x[ix] * w.data[iw];
  });
  pool_and_activate(s, e, z.data(), y, argmax);
}

template <class T>
void conv2d_dgrad(const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<T> g, Weights<T> w,
                  T* dx) {
  const std::vector<T> dz = gradient_of_z(s, e, g);
  for (int64_t i = 0; i < int64_t{s.N} * s.H * s.W * s.C; ++i) dx[i] = T{};
  for_each_product(s, [&](int64_t ix, int64_t iw, int64_t iz) {
    dx[ix] += dz[static_cast<size_t>(iz)] * w.data[iw];
  });
}

template <class T>
void conv2d_wgrad(const Conv2dShape& s, const Conv2dEpilogue& e, const T* x, Conv2dGrad<T> g, T* dw,
                  T* dbias) {
  const std::vector<T> dz = gradient_of_z(s, e, g);
  for (int64_t i = 0; i < int64_t{s.K} * s.R * s.S * s.C; ++i) dw[i] = T{};
  for_each_product(s, [&](int64_t ix, int64_t iw, int64_t iz) {
    dw[iw] += dz[static_cast<size_t>(iz)] * x[ix];
  });
  if (dbias == nullptr) return;
  for (int k = 0; k < s.K; ++k) dbias[k] = T{};
  for (size_t i = 0; i < dz.size(); ++i) dbias[i % static_cast<size_t>(s.K)] += dz[i];
}

}  // namespace assay::ref
