// The small matrices of Winograd's transforms (transforms.h) times a few registers.
//
// Opposite points a and -a make two rows, or two columns, that differ in signs alone. Such a pair
// shares its sums: 12 multiply-adds instead of 22 for a patch under F(4,3), 12 operations instead
// of 18 back.
//
//   rows i, k:     out_i = same + opposite       columns j, k:     same     = in_j + in_k
//                  out_k = same - opposite                         opposite = in_j - in_k
#pragma once

#include <utility>

#include "kernels/conv2d/cpu/winograd/transforms.h"
#include "kernels/runtime/simd.h"

namespace assay::cpu::ASSAY_ISA {

/// Calls f(constant 0) ... f(constant kCount - 1), so that every element of a matrix is a constant.
template <int kCount, class F>
ASSAY_INLINE void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, kCount>{});
}

/// A matrix with its pairs of rows (i, k) taken apart: the original rows are
/// core_i + scale*core_k and core_i - scale*core_k.
template <int R, int C>
struct PairedRows {
  Matrix<R, C> core;
  int other[R] = {};    ///< index of the other row of the pair; a single row has its own index
  float scale[R] = {};  ///< chosen so that the last coefficient of core_k is 1; second rows only
};

template <int R, int C>
consteval bool is_pair(const Matrix<R, C>& m, int i, int k) {
  bool same = false, opposite = false;
  for (int j = 0; j < C; ++j) {
    const float a = m.at[i][j], b = m.at[k][j];
    if (a != b && a != -b) return false;
    if (a != 0) (a == b ? same : opposite) = true;
  }
  return same && opposite;
}

template <int R, int C>
consteval PairedRows<R, C> pair_rows(const Matrix<R, C>& m) {
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

template <const auto& m>
constexpr auto kRowsOf = pair_rows(m);
/// The pairs of columns, with the scales multiplied into the matrix.
template <const auto& m>
constexpr auto kColumnsOf = [] {
  auto p = pair_rows(transposed(m));
  for (int k = 0; k < p.core.kRows; ++k)
    if (p.other[k] < k)
      for (float& f : p.core.at[k]) f *= p.scale[k];
  return p;
}();

/// Sums and differences of `in` for the pairs of columns; the other columns take `in` itself.
template <const auto& columns, int C>
ASSAY_INLINE void pair_inputs(const vf* in, vf (&paired)[C]) {
  unrolled<C>([&](auto j) __attribute__((always_inline)) {
    constexpr int k = columns.other[j];
    if constexpr (k == j) paired[j] = in[j];
    if constexpr (k > j) paired[j] = in[j] + in[k];
    if constexpr (k < j) paired[j] = in[k] - in[j];
  });
}

/// The product of one row. Coefficients of 0 cost nothing; one of 1 costs no multiplication if it
/// is the last.
template <const auto& m, int i, int C>
ASSAY_INLINE vf row_product(const vf (&in)[C]) {
  vf sum{};
  bool empty = true;
  unrolled<C>([&](auto column) __attribute__((always_inline)) {
    constexpr int j = C - 1 - column;
    constexpr float f = m.at[i][j];
    if constexpr (f != 0) {
      sum = empty ? f * in[j] : sum + f * in[j];
      empty = false;
    }
  });
  return sum;
}

/// out = m * in.
template <const auto& m>
ASSAY_INLINE void multiply(const vf* in, vf* out, int out_step) {
  static constexpr auto kColumns = kColumnsOf<m>;
  static constexpr auto kMatrix = transposed(kColumns.core);
  static constexpr auto kRows = kRowsOf<kMatrix>;
  static constexpr auto kCore = kRows.core;
  vf paired[m.kColumns];
  pair_inputs<kColumns>(in, paired);
  unrolled<m.kRows>([&](auto i) __attribute__((always_inline)) {
    constexpr int k = kRows.other[i];
    if constexpr (k == i) out[i * out_step] = row_product<kCore, i>(paired);
    if constexpr (k > i) {
      const vf same = row_product<kCore, i>(paired);
      const vf opposite = kRows.scale[k] * row_product<kCore, k>(paired);
      out[i * out_step] = same + opposite;
      out[k * out_step] = same - opposite;
    }
  });
}

}  // namespace assay::cpu::ASSAY_ISA
