// The small matrices of Winograd's transforms (winograd_transforms.h) times a few registers.
#pragma once

#include <utility>

#include "kernels/conv2d/winograd_transforms.h"
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

template <const auto& m>
constexpr auto kRowsOf = pair_rows(m);
template <const auto& m>
constexpr auto kColumnsOf = pair_columns(m);

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
