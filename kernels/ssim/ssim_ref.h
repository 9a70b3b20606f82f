// SSIM, the definition: at every pixel the 121 weighted neighbours.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/ssim/ssim.h"
#include "kernels/ssim/ssim_formula.h"

namespace assay::ref {

template <class T>
struct SsimWindow {
  T weight[kSsimTaps];
  SsimWindow() {
    double w[kSsimTaps];
    ssim_weights(w);
    for (int i = 0; i < kSsimTaps; ++i) weight[i] = static_cast<T>(w[i]);
  }
};

/// Calls f(input index, weight) for the window around pixel (h, w) of image n, channel c.
template <class T, class F>
void for_each_in_window(const SsimShape& s, const SsimWindow<T>& window, int n, int h, int w, int c,
                        const F& f) {
  for (int a = 0; a < kSsimTaps; ++a)
    for (int b = 0; b < kSsimTaps; ++b) {
      const int64_t row = reflect(h + a - kSsimRadius, s.H);
      const int64_t column = reflect(w + b - kSsimRadius, s.W);
      f(((n * int64_t{s.H} + row) * s.W + column) * s.C + c, window.weight[a] * window.weight[b]);
    }
}

template <class T>
SsimMoments<T> moments_at(const SsimShape& s, const SsimWindow<T>& window, const T* x, const T* y,
                          int n, int h, int w, int c) {
  SsimMoments<T> m{};
  for_each_in_window(s, window, n, h, w, c, [&](int64_t i, T weight) {
    m.x += weight * x[i];
    m.y += weight * y[i];
    m.xx += weight * x[i] * x[i];
    m.yy += weight * y[i] * y[i];
    m.xy += weight * x[i] * y[i];
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
  const SsimWindow<T> window;
  for (int n = 0; n < s.N; ++n) value[n] = 0;
  int64_t i = 0;
  for_each_pixel(s, [&](int n, int h, int w, int c, bool inner) {
    const T at = ssim_value(moments_at(s, window, x, y, n, h, w, c));
    if (map != nullptr) map[i] = at;
    ++i;
    if (inner) value[n] += at / static_cast<T>(ssim_inner_count(s));
  });
}

/// Every inner pixel hands its share of dvalue to the 121 pixels that it saw.
template <class T>
void ssim_bprop(const SsimShape& s, const T* x, const T* y, const T* dvalue, T* dx) {
  const SsimWindow<T> window;
  const int64_t size = int64_t{s.N} * s.H * s.W * s.C;
  for (int64_t i = 0; i < size; ++i) dx[i] = 0;
  for_each_pixel(s, [&](int n, int h, int w, int c, bool inner) {
    if (!inner) return;
    const T scale = dvalue[n] / static_cast<T>(ssim_inner_count(s));
    const SsimSlopes<T> d = ssim_slopes(moments_at(s, window, x, y, n, h, w, c));
    for_each_in_window(s, window, n, h, w, c, [&](int64_t i, T weight) {
      dx[i] += scale * weight * (d.mean + d.square * x[i] + d.product * y[i]);
    });
  });
}

}  // namespace assay::ref
