// The definition of SSIM: at every pixel the 121 weighted neighbours, in double.
#pragma once

#include <vector>

#include "kernels/ssim/ssim.h"
#include "kernels/ssim/ssim_formula.h"

namespace assay::ref {

/// Calls f(input index, weight) for the window around pixel (h, w) of image n, channel c.
template <class F>
void for_each_in_window(const SsimShape& s, int n, int h, int w, int c, const F& f) {
  double weight[kSsimTaps];
  ssim_weights(weight);
  for (int a = 0; a < kSsimTaps; ++a)
    for (int b = 0; b < kSsimTaps; ++b) {
      const int64_t row = reflect(h + a - kSsimRadius, s.H);
      const int64_t column = reflect(w + b - kSsimRadius, s.W);
      f(((n * int64_t{s.H} + row) * s.W + column) * s.C + c, weight[a] * weight[b]);
    }
}

template <class T>
SsimMoments<double> moments_at(const SsimShape& s, const T* x, const T* y, int n, int h, int w,
                               int c) {
  SsimMoments<double> m{};
  for_each_in_window(s, n, h, w, c, [&](int64_t i, double weight) {
    const double xi = x[i], yi = y[i];
    m.x += weight * xi;
    m.y += weight * yi;
    m.xx += weight * xi * xi;
    m.yy += weight * yi * yi;
    m.xy += weight * xi * yi;
  });
  return m;
}

/// Calls f(n, h, w, c, inner) for every element; inner pixels count for the mean.
template <class F>
void for_each_pixel(const SsimShape& s, const F& f) {
  for (int n = 0; n < s.N; ++n)
    for (int h = 0; h < s.H; ++h)
      for (int w = 0; w < s.W; ++w)
        for (int c = 0; c < s.C; ++c) f(n, h, w, c, is_inner(h, s.H) && is_inner(w, s.W));
}

template <class T>
void ssim(const SsimShape& s, const T* x, const T* y, T* value, T* map) {
  std::vector<double> mean(s.N, 0.0);
  int64_t i = 0;
  for_each_pixel(s, [&](int n, int h, int w, int c, bool inner) {
    const double at = ssim_value(moments_at(s, x, y, n, h, w, c));
    if (map != nullptr) map[i] = static_cast<T>(at);
    ++i;
    if (inner) mean[n] += at / static_cast<double>(ssim_inner_count(s.H, s.W, s.C));
  });
  for (int n = 0; n < s.N; ++n) value[n] = static_cast<T>(mean[n]);
}

/// Every inner pixel passes its share of dvalue to the 121 pixels under its window.
template <class T>
void ssim_bprop(const SsimShape& s, const T* x, const T* y, const T* dvalue, T* dx) {
  std::vector<double> gradient(int64_t{s.N} * s.H * s.W * s.C, 0.0);
  for_each_pixel(s, [&](int n, int h, int w, int c, bool inner) {
    if (!inner) return;
    const double scale = dvalue[n] / static_cast<double>(ssim_inner_count(s.H, s.W, s.C));
    const SsimSlopes<double> d = ssim_slopes(moments_at(s, x, y, n, h, w, c));
    for_each_in_window(s, n, h, w, c, [&](int64_t i, double weight) {
      gradient[i] += scale * weight * (d.mean + d.square * x[i] + d.product * y[i]);
    });
  });
  for (size_t i = 0; i < gradient.size(); ++i) dx[i] = static_cast<T>(gradient[i]);
}

}  // namespace assay::ref
