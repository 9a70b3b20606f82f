// Winograd's minimal filtering as tables: which few sums of source pixels, times which few sums of
// filter taps, make a run of outputs. Everything is computed here, at compile time, from the points
// of an interpolation.
//
// In one dimension (A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks",
// arXiv:1509.09308, eq. 6):
//
//   out = output [ (filter w) . (source d) ]           . is the product of single elements
//
// with d a patch of neighbouring source pixels, w the taps. In two dimensions every matrix is
// applied to the rows and to the columns (eq. 8). Products of different channels are summed before
// `output` is applied, which makes them matrix products.
#pragma once

#include "kernels/runtime/device.h"

namespace assay {

template <int kRows_, int kColumns_>
struct Matrix {
  static constexpr int kRows = kRows_, kColumns = kColumns_;
  float at[kRows][kColumns] = {};
};

template <int R, int C>
ASSAY_HD constexpr Matrix<C, R> transposed(const Matrix<R, C>& m) {
  Matrix<C, R> t;
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < C; ++j) t.at[j][i] = m.at[i][j];
  return t;
}

// Opposite points a and -a make two rows, or two columns, that differ in signs alone. Such a pair
// shares its sums: 12 multiply-adds instead of 22 for a patch under F(4,3), 12 operations instead
// of 18 back.
//
//   rows i, k:     out_i = same + opposite       columns j, k:     same     = in_j + in_k
//                  out_k = same - opposite                         opposite = in_j - in_k

/// A matrix with its pairs of rows (i, k) taken apart: the original rows are
/// core_i + scale*core_k and core_i - scale*core_k.
template <int R, int C>
struct PairedRows {
  Matrix<R, C> core;
  int other[R] = {};    ///< index of the other row of the pair; a single row has its own index
  float scale[R] = {};  ///< chosen so that the last coefficient of core_k is 1; second rows only
};

template <int R, int C>
ASSAY_HD constexpr bool is_pair(const Matrix<R, C>& m, int i, int k) {
  bool same = false, opposite = false;
  for (int j = 0; j < C; ++j) {
    const float a = m.at[i][j], b = m.at[k][j];
    if (a != b && a != -b) return false;
    if (a != 0) (a == b ? same : opposite) = true;
  }
  return same && opposite;
}

template <int R, int C>
ASSAY_HD constexpr PairedRows<R, C> pair_rows(const Matrix<R, C>& m) {
  PairedRows<R, C> p{.core = m};
  for (int i = 0; i < R; ++i) p.other[i] = i;
  for (int i = 0; i < R; ++i)
    for (int k = i + 1; k < R && p.other[i] == i; ++k) {
      if (p.other[k] != k || !is_pair(m, i, k)) continue;
      p.other[i] = k;
      p.other[k] = i;
      for (int j = 0; j < C; ++j) {
        const bool same = m.at[i][j] == m.at[k][j];
        p.core.at[i][j] = same ? m.at[i][j] : 0;
        p.core.at[k][j] = same ? 0 : m.at[i][j];
        if (!same) p.scale[k] = m.at[i][j];
      }
      for (int j = 0; j < C; ++j) p.core.at[k][j] /= p.scale[k];
    }
  return p;
}

/// The pairs of columns as rows of the core, with the scales multiplied into it: the product of m
/// is transposed(core) times the sums in_j + in_k (row j) and differences in_j - in_k (row k).
template <int R, int C>
ASSAY_HD constexpr PairedRows<C, R> pair_columns(const Matrix<R, C>& m) {
  auto p = pair_rows(transposed(m));
  for (int k = 0; k < C; ++k)
    if (p.other[k] < k)
      for (float& f : p.core.at[k]) f *= p.scale[k];
  return p;
}

/// F(kOut, kTaps): kOut outputs of a filter of kTaps taps with kOut + kTaps - 1 products.
template <int kOut, int kTaps>
struct ToomCook {
  static constexpr int n = kOut + kTaps - 1;
  Matrix<n, n> source;
  Matrix<n, kTaps> filter;
  Matrix<kOut, n> output;
};

/// From n-1 points and infinity (B. Barabasz et al., "Error analysis and improving the accuracy of
/// Winograd convolution", ACM TOMS 46(4), 2020, section 2).
template <int kOut, int kTaps>
ASSAY_HD constexpr ToomCook<kOut, kTaps> toom_cook(const double (&points)[kOut + kTaps - 2]) {
  constexpr int n = kOut + kTaps - 1, last = n - 1;
  ToomCook<kOut, kTaps> t;
  const auto power = [](double x, int e) {
    double p = 1;
    while (e-- > 0) p *= x;
    return p;
  };
  // Row i of source: the coefficients of prod_{k != i} (x - point k).
  for (int i = 0; i < n; ++i) {
    double c[n + 1] = {1}, scale = 1;
    int degree = 0;
    for (int k = 0; k < last; ++k) {
      if (k == i) continue;
      if (i < last) scale *= points[i] - points[k];
      ++degree;
      for (int j = degree; j >= 0; --j) c[j] = (j > 0 ? c[j - 1] : 0) - points[k] * c[j];
    }
    for (int j = 0; j < n; ++j) t.source.at[i][j] = static_cast<float>(c[j]);
    for (int r = 0; r < kTaps; ++r)
      t.filter.at[i][r] = i < last ? static_cast<float>(power(points[i], r) / scale)
                                   : (r == kTaps - 1 ? 1.0f : 0.0f);
    for (int o = 0; o < kOut; ++o)
      t.output.at[o][i] =
          i < last ? static_cast<float>(power(points[i], o)) : (o == kOut - 1 ? 1.0f : 0.0f);
  }
  return t;
}

/// The sizes of a tile in one dimension.
struct WinogradLengths {
  int patch;     ///< source rows read
  int values;    ///< elements of the transformed patch
  int products;  ///< multiplications
  int taps;      ///< rows of the filter
  int sums;      ///< sums of products, the input of the output transform
  int out;       ///< output rows written
};

/// One dimension of a convolution pass with padding 1 as products. The first tile reads from source
/// row -1 on and writes from output row `out_first` on; the next tile reads `step` rows further and
/// writes n.out rows further.
template <WinogradLengths n>
struct WinogradAxis {
  Matrix<n.values, n.patch> source;
  Matrix<n.products, n.taps> filter;
  Matrix<n.out, n.sums> output;
  int value_of[n.products] = {};  ///< index of the value that each product reads
  int sum_of[n.products] = {};    ///< index of the sum that each product is added to
  int step = 0, out_first = 0;
};

/// The plane of element (i,j) of n*n. Where `phases` products share a sum in each dimension, those
/// of one sum stand side by side, so that one matrix product takes them all.
__attribute__((always_inline)) constexpr int plane_of(int i, int j, int n, int phases) {
  return (i / phases * (n / phases) + j / phases) * phases * phases + i % phases * phases +
         j % phases;
}

/// F(4,3): 6 products for 4 outputs (12 multiplications). With `flipped` the filter is reversed,
/// for dgrad. Of the symmetric points that we measured these have the smallest error, 2 times the
/// direct kernel's; 0, +-1, +-2 has 4 times (64 channels, uniform random numbers).
ASSAY_HD constexpr auto winograd_plain(bool flipped) {
  constexpr auto t = toom_cook<4, 3>({0, 0.625, -0.625, 1.5, -1.5});
  WinogradAxis<WinogradLengths{
      .patch = 6, .values = 6, .products = 6, .taps = 3, .sums = 6, .out = 4}>
      axis{.source = t.source, .filter = {}, .output = t.output};
  for (int e = 0; e < 6; ++e) {
    for (int r = 0; r < 3; ++r) axis.filter.at[e][r] = t.filter.at[e][flipped ? 2 - r : r];
    axis.value_of[e] = axis.sum_of[e] = e;
  }
  axis.step = 4;
  return axis;
}

// Behind a nearest upsampling by 2, an output sees two small pixels, through two summed taps:
//
//   z(2i)   = w0 x(i-1) + (w1 + w2) x(i)           z(2i+1) = (w0 + w1) x(i) + w2 x(i+1)
//
// Each phase is an F(3,2), and z(2i+1), z(2i+2) see the same pixels, so the phases share the
// transformed source. They share one product too: at the point 1 both filters have the value
// w0 + w1 + w2. Seven products for six outputs (18 multiplications, 12 with summed taps); in two
// dimensions 49 for 36.
inline constexpr double kPhasePoints[] = {0, 1, -1};
inline constexpr int kSharedPoint = 1;  // index of the point 1
/// Taps of the phases: phase 0 makes z(2i+1), phase 1 z(2i+2).
inline constexpr float kPhaseTaps[2][2][3] = {{{1, 1, 0}, {0, 0, 1}}, {{1, 0, 0}, {0, 1, 1}}};

constexpr auto winograd_upsampled() {
  constexpr auto t = toom_cook<3, 2>(kPhasePoints);
  WinogradAxis<WinogradLengths{
      .patch = 4, .values = 4, .products = 7, .taps = 3, .sums = 7, .out = 6}>
      axis{.source = t.source, .filter = {}, .output = {}};
  int e = 0;
  for (int phase = 0; phase < 2; ++phase)
    for (int i = 0; i < 4; ++i) {
      const bool shared = phase == 1 && i == kSharedPoint;
      const int product = shared ? kSharedPoint : e++;
      axis.value_of[product] = i;
      axis.sum_of[product] = product;
      for (int o = 0; o < 3; ++o) axis.output.at[2 * o + phase][product] = t.output.at[o][i];
      for (int r = 0; r < 3; ++r)
        axis.filter.at[product][r] = t.filter.at[i][0] * kPhaseTaps[phase][0][r] +
                                     t.filter.at[i][1] * kPhaseTaps[phase][1][r];
    }
  axis.step = 3;
  axis.out_first = -1;
  return axis;
}

/// The gradient: dx(i) = w2 dz(2i-1) + (w0 + w1) dz(2i+1) + (w1 + w2) dz(2i) + w0 dz(2i+2). Two
/// F(3,2), over the odd and over the even rows of dz, which are summed; at the point 1 they have
/// the same filter, so there the sum is taken before the product.
constexpr auto winograd_upsampled_back() {
  constexpr auto t = toom_cook<3, 2>(kPhasePoints);
  WinogradAxis<WinogradLengths{
      .patch = 8, .values = 7, .products = 7, .taps = 3, .sums = 4, .out = 3}>
      axis{.source = {}, .filter = {}, .output = t.output};
  int e = 0;
  for (int phase = 0; phase < 2; ++phase)
    for (int i = 0; i < 4; ++i) {
      const bool shared = phase == 1 && i == kSharedPoint;
      const int product = shared ? kSharedPoint : e++;
      axis.value_of[product] = product;
      axis.sum_of[product] = i;
      for (int j = 0; j < 4; ++j) axis.source.at[product][2 * j + phase] = t.source.at[i][j];
      for (int r = 0; r < 3; ++r)  // the taps of the phase in reverse order
        axis.filter.at[product][r] = t.filter.at[i][0] * kPhaseTaps[phase][1][r] +
                                     t.filter.at[i][1] * kPhaseTaps[phase][0][r];
    }
  axis.step = 6;
  return axis;
}

// A filter of 4 taps and stride 2 is two filters of 2 taps, one over the odd and one over the even
// source rows (their sum is taken before the output transform, so they share the sums):
//
//   z(i) = [w0 x(2i-1) + w2 x(2i+1)] + [w1 x(2i) + w3 x(2i+2)]
//
// Each is an F(4,2): ten products for four outputs (16 multiplications); in two dimensions 100 for
// 16 (256). The error is 1.7 times the direct kernel's in our test of points (128 channels, uniform
// random numbers); with 0, +-1, 2 it is 3.4 times.
inline constexpr double kStridedPoints[] = {0.5, -0.5, 1.5, -1.5};
inline constexpr int kStridedPhases = 2;

constexpr auto winograd_strided() {
  constexpr auto t = toom_cook<4, 2>(kStridedPoints);
  WinogradAxis<WinogradLengths{
      .patch = 10, .values = 10, .products = 10, .taps = 4, .sums = 5, .out = 4}>
      axis{.source = {}, .filter = {}, .output = t.output};
  for (int i = 0; i < 5; ++i)
    for (int phase = 0; phase < 2; ++phase) {
      const int product = 2 * i + phase;
      axis.value_of[product] = product;
      axis.sum_of[product] = i;
      for (int j = 0; j < 5; ++j) axis.source.at[product][2 * j + phase] = t.source.at[i][j];
      for (int r = 0; r < 2; ++r) axis.filter.at[product][2 * r + phase] = t.filter.at[i][r];
    }
  axis.step = 8;
  return axis;
}

/// The gradient, the forward pass of a transposed convolution: dx(2i) = w3 dz(i-1) + w1
/// dz(i) and dx(2i+1) = w2 dz(i) + w0 dz(i+1). Two F(4,2) from patches that start at -1 and at 0;
/// ten products for eight outputs. Rows 2i+1 and 2i+2 could share a patch, but then tiles would
/// begin at row -1 and would not end where images of 4, 8, 16, ... rows do.
constexpr auto winograd_strided_back() {
  constexpr auto t = toom_cook<4, 2>(kStridedPoints);
  WinogradAxis<WinogradLengths{
      .patch = 6, .values = 10, .products = 10, .taps = 4, .sums = 10, .out = 8}>
      axis{};
  for (int i = 0; i < 5; ++i)
    for (int phase = 0; phase < 2; ++phase) {
      const int product = 2 * i + phase;
      axis.value_of[product] = axis.sum_of[product] = product;
      for (int j = 0; j < 5; ++j) axis.source.at[product][j + phase] = t.source.at[i][j];
      for (int o = 0; o < 4; ++o) axis.output.at[2 * o + phase][product] = t.output.at[o][i];
      for (int r = 0; r < 2; ++r) axis.filter.at[product][3 - phase - 2 * r] = t.filter.at[i][r];
    }
  axis.step = 4;
  return axis;
}

}  // namespace assay
