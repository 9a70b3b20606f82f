// SSIM of one pixel from its moments, and its slopes, once for the reference, the CPU and CUDA. V
// is a scalar or a SIMD vector.
#pragma once

#include "kernels/runtime/formula.h"

namespace assay {

inline constexpr int kSsimRadius = 5;
inline constexpr int kSsimTaps = 2 * kSsimRadius + 1;

/// The 11 weights of a Gaussian of sigma 1.5, which sum to 1.
ASSAY_FORMULA void ssim_weights(double weight[kSsimTaps]) {
  double sum = 0;
  for (int i = 0; i < kSsimTaps; ++i) {
    const double d = (i - kSsimRadius) / 1.5;
    sum += weight[i] = exp(-0.5 * d * d);
  }
  for (int i = 0; i < kSsimTaps; ++i) weight[i] /= sum;
}

/// Symmetric edges, d c b a | a b c d: position i of a line of n >= kSsimRadius pixels.
ASSAY_FORMULA int reflect(int i, int n) {
  return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i;
}

ASSAY_FORMULA bool is_inner(int i, int n) {
  return i >= kSsimRadius && i < n - kSsimRadius;
}

/// Number of elements (inner pixels times channels) in an image's mean.
ASSAY_FORMULA int64_t ssim_inner_count(int H, int W, int C) {
  return int64_t{H - 2 * kSsimRadius} * (W - 2 * kSsimRadius) * C;
}

/// Weighted means of x, y, x^2, y^2 and x y over the window.
template <class V>
struct SsimMoments {
  V x, y, xx, yy, xy;
};

/// The four factors of equation 13: value = a1 a2 / (b1 b2).
template <class V>
struct SsimFactors {
  V a1, a2, b1, b2;
};

template <class V>
ASSAY_FORMULA SsimFactors<V> ssim_factors(const SsimMoments<V>& m) {
  const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  const V mxx = m.x * m.x, myy = m.y * m.y, mxy = m.x * m.y;
  return {mxy + mxy + c1, (m.xy - mxy) + (m.xy - mxy) + c2, mxx + myy + c1,
          (m.xx - mxx) + (m.yy - myy) + c2};
}

template <class V>
ASSAY_FORMULA V ssim_value(const SsimMoments<V>& m) {
  const SsimFactors<V> f = ssim_factors(m);
  return (f.a1 * f.a2) / (f.b1 * f.b2);
}

/// d value / dx_i = weight_i (mean + square x_i + product y_i), by the chain rule through the
/// moments; `square` carries the 2 of d(x^2) = 2 x dx.
template <class V>
struct SsimSlopes {
  V mean, square, product;
};

template <class V>
ASSAY_FORMULA SsimSlopes<V> ssim_slopes(const SsimMoments<V>& m) {
  const SsimFactors<V> f = ssim_factors(m);
  const V scale = 2.0 / (f.b1 * f.b2);
  const V value = f.a1 * f.a2 / (f.b1 * f.b2);
  const V by_b1 = (value + value) / f.b1, by_b2 = (value + value) / f.b2;
  return {scale * m.y * (f.a2 - f.a1) - m.x * (by_b1 - by_b2), -by_b2, scale * f.a1};
}

}  // namespace assay
