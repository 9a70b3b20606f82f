// The Gaussian window is separable: 11 rows are summed into one, then 11 neighbours in that row.
// That is 5 * 22 multiply-adds a pixel instead of 5 * 121.
#include "kernels/ssim/ssim_simd.h"

#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

/// Doubles of one padded row of sums; its first pixel stands behind kSsimRadius pixels of padding.
ASSAY_INLINE int64_t padded(int W, int C) {
  return int64_t{W + 2 * kSsimRadius} * C;
}

/// Mirrors the ends of a padded row into its padding.
ASSAY_INLINE void reflect_ends(int W, int C, double* row) {
  for (int k = 1; k <= kSsimRadius; ++k)
    for (int c = 0; c < C; ++c) {
      row[int64_t{kSsimRadius - k} * C + c] = row[int64_t{kSsimRadius + k - 1} * C + c];
      row[int64_t{kSsimRadius + W + k - 1} * C + c] = row[int64_t{kSsimRadius + W - k} * C + c];
    }
}

/// Sums of 11 rows into the five padded rows of `space`: x, y, x^2, y^2, x y.
ASSAY_INLINE void sum_columns(const SsimRows& rows, const double* weight, double* space) {
  const int64_t plane = padded(rows.W, rows.C);
  double* out = space + int64_t{kSsimRadius} * rows.C;
  for_each_double_register(int64_t{rows.W} * rows.C, [&](auto at) {
    auto x = at.get(rows.x[0]) * 0.0;
    auto y = x, xx = x, yy = x, xy = x;
    for (int k = 0; k < kSsimTaps; ++k) {
      const auto xk = at.get(rows.x[k]), yk = at.get(rows.y[k]);
      const auto wx = weight[k] * xk, wy = weight[k] * yk;
      x += wx;
      y += wy;
      xx += wx * xk;
      yy += wy * yk;
      xy += wx * yk;
    }
    at.put(out, x);
    at.put(out + plane, y);
    at.put(out + 2 * plane, xx);
    at.put(out + 3 * plane, yy);
    at.put(out + 4 * plane, xy);
  });
  for (int p = 0; p < 5; ++p) reflect_ends(rows.W, rows.C, space + p * plane);
}

/// The weighted sum of the 11 neighbours in a padded row.
template <class At>
ASSAY_INLINE auto sum_taps(At at, const double* weight, const double* row, int C) {
  auto sum = weight[0] * at.get(row);
  for (int k = 1; k < kSsimTaps; ++k) sum += weight[k] * at.get(row + int64_t{k} * C);
  return sum;
}

/// Calls f(at, moments) for every pixel of the row.
template <class F>
ASSAY_INLINE void for_each_moment(const SsimRows& rows, const double* weight, double* space,
                                  const F& f) {
  sum_columns(rows, weight, space);
  const int64_t plane = padded(rows.W, rows.C);
  for_each_double_register(int64_t{rows.W} * rows.C, [&](auto at) {
    const auto x = sum_taps(at, weight, space, rows.C);
    f(at, SsimMoments<decltype(at.get(space))>{x, sum_taps(at, weight, space + plane, rows.C),
                                               sum_taps(at, weight, space + 2 * plane, rows.C),
                                               sum_taps(at, weight, space + 3 * plane, rows.C),
                                               sum_taps(at, weight, space + 4 * plane, rows.C)});
  });
}

}  // namespace

void ssim_values(const SsimRows& rows, const double* weight, double* space, double* values) {
  for_each_moment(rows, weight, space,
                  [&](auto at, const auto& m) { at.put(values, ssim_value(m)); });
}

void ssim_slope_row(const SsimRows& rows, const double* weight, double* space, double* slopes) {
  const int64_t length = int64_t{rows.W} * rows.C;
  for_each_moment(rows, weight, space, [&](auto at, const auto& m) {
    const auto d = ssim_slopes(m);
    at.put(slopes, d.mean);
    at.put(slopes + length, d.square);
    at.put(slopes + 2 * length, d.product);
  });
  const int64_t border = int64_t{kSsimRadius} * rows.C;
  for (int p = 0; p < 3; ++p)
    for (int64_t i = 0; i < border; ++i)
      slopes[p * length + i] = slopes[p * length + length - 1 - i] = 0;
}

void ssim_gradient_row(const SsimSlopeRows& rows, const double* weight, double scale,
                       const float* x, const float* y, double* space, float* dx) {
  const int64_t length = int64_t{rows.W} * rows.C, plane = padded(rows.W, rows.C);
  const int64_t border = int64_t{kSsimRadius} * rows.C;
  for (int64_t i = 0; i < 3 * plane; ++i) space[i] = 0;
  for (int k = 0; k < kSsimTaps; ++k) {
    if (rows.slopes[k] == nullptr) continue;
    for (int p = 0; p < 3; ++p) {
      const double* in = rows.slopes[k] + p * length;
      double* out = space + p * plane + border;
      for_each_double_register(length,
                               [&](auto at) { at.put(out, at.get(out) + weight[k] * at.get(in)); });
    }
  }
  for_each_double_register(length, [&](auto at) {
    const auto mean = sum_taps(at, weight, space, rows.C);
    const auto square = sum_taps(at, weight, space + plane, rows.C);
    const auto product = sum_taps(at, weight, space + 2 * plane, rows.C);
    at.put(dx, scale * (mean + square * at.get(x) + product * at.get(y)));
  });
}

}  // namespace assay::cpu::ASSAY_ISA
