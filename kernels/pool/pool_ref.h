// The definition of pooling and upsampling.
#pragma once

#include "kernels/pool/pool.h"

namespace assay::ref {

/// Calls f(output index, input index, a * window + b) for every element of every window.
template <class F>
void for_each_window_element(const PoolShape& s, const F& f) {
  for (int n = 0; n < s.N; ++n)
    for (int p = 0; p < s.P(); ++p)
      for (int q = 0; q < s.Q(); ++q)
        for (int c = 0; c < s.C; ++c) {
          const int64_t out = ((int64_t{n} * s.P() + p) * s.Q() + q) * s.C + c;
          for (int a = 0; a < s.window; ++a)
            for (int b = 0; b < s.window; ++b) {
              const int h = p * s.stride + a, w = q * s.stride + b;
              f(out, ((int64_t{n} * s.H + h) * s.W + w) * s.C + c, a * s.window + b);
            }
        }
}

inline int64_t input_size(const PoolShape& s) {
  return int64_t{s.N} * s.H * s.W * s.C;
}
inline int64_t output_size(const PoolShape& s) {
  return int64_t{s.N} * s.P() * s.Q() * s.C;
}

template <class T>
void max_pool_fprop(const PoolShape& s, const T* x, T* y, uint8_t* argmax) {
  for_each_window_element(s, [&](int64_t out, int64_t in, int place) {
    if (place != 0 && !(x[in] > y[out])) return;
    y[out] = x[in];
    if (argmax != nullptr) argmax[out] = static_cast<uint8_t>(place);
  });
}

template <class T>
void max_pool_bprop(const PoolShape& s, const T* dy, const uint8_t* argmax, T* dx) {
  for (int64_t i = 0; i < input_size(s); ++i) dx[i] = 0;
  for_each_window_element(s, [&](int64_t out, int64_t in, int place) {
    if (argmax[out] == place) dx[in] += dy[out];
  });
}

template <class T>
void avg_pool_fprop(const PoolShape& s, const T* x, T* y) {
  for (int64_t i = 0; i < output_size(s); ++i) y[i] = 0;
  for_each_window_element(s, [&](int64_t out, int64_t in, int) { y[out] += x[in]; });
  for (int64_t i = 0; i < output_size(s); ++i) y[i] /= static_cast<T>(s.window * s.window);
}

template <class T>
void avg_pool_bprop(const PoolShape& s, const T* dy, T* dx) {
  for (int64_t i = 0; i < input_size(s); ++i) dx[i] = 0;
  for_each_window_element(s, [&](int64_t out, int64_t in, int) {
    dx[in] += dy[out] / static_cast<T>(s.window * s.window);
  });
}

/// Calls f(index into y, index into x) for every element of y (N,H*factor,W*factor,C).
template <class F>
void for_each_upsampled(const UpsampleShape& s, const F& f) {
  int64_t out = 0;
  for (int n = 0; n < s.N; ++n)
    for (int h = 0; h < s.H * s.factor; ++h)
      for (int w = 0; w < s.W * s.factor; ++w)
        for (int c = 0; c < s.C; ++c, ++out)
          f(out, ((int64_t{n} * s.H + h / s.factor) * s.W + w / s.factor) * s.C + c);
}

template <class T>
void upsample_fprop(const UpsampleShape& s, const T* x, T* y) {
  for_each_upsampled(s, [&](int64_t out, int64_t in) { y[out] = x[in]; });
}

template <class T>
void upsample_bprop(const UpsampleShape& s, const T* dy, T* dx) {
  for (int64_t i = 0; i < int64_t{s.N} * s.H * s.W * s.C; ++i) dx[i] = 0;
  for_each_upsampled(s, [&](int64_t out, int64_t in) { dx[in] += dy[out]; });
}

}  // namespace assay::ref
