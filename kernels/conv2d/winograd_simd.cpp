#include "kernels/runtime/simd.h"

#include <utility>

#include "kernels/conv2d/winograd_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

typedef int32_t Integers __attribute__((vector_size(kLanes * 4)));
typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

// Calls f(constant 0) ... f(constant kCount - 1), so that every element of a matrix is a constant.
template <int kCount, class F>
ASSAY_INLINE void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, kCount>{});
}

// out = m * in. Zeros cost nothing and the last coefficient, mostly 1, no multiplication.
template <const auto& m>
ASSAY_INLINE void multiply(const vf* in, vf* out, int out_step) {
  constexpr int kRows = m.kRows, kColumns = m.kColumns;
  unrolled<kRows>([&](auto row) __attribute__((always_inline)) {
    vf sum{};
    bool empty = true;
    unrolled<kColumns>([&](auto column) __attribute__((always_inline)) {
      constexpr int j = kColumns - 1 - column;
      constexpr float f = m.at[row][j];
      if constexpr (f != 0) {
        sum = empty ? f * in[j] : sum + f * in[j];
        empty = false;
      }
    });
    out[row * out_step] = sum;
  });
}

// Patch (columns x columns of the matrix) of one vector of channels -> planes.
template <const auto& m>
ASSAY_INLINE void transform_patch(const float* picture, int64_t row, int64_t column, float* planes,
                                  int64_t plane) {
  constexpr int kPatch = m.kColumns, kValues = m.kRows;
  vf half[kValues][kPatch];
  for (int j = 0; j < kPatch; ++j) {
    vf in[kPatch];
    for (int i = 0; i < kPatch; ++i) in[i] = load(picture + i * row + j * column);
    multiply<m>(in, &half[0][j], kPatch);
  }
  for (int i = 0; i < kValues; ++i) {
    vf values[kValues];
    multiply<m>(half[i], values, 1);
    for (int j = 0; j < kValues; ++j) store(planes + (i * kValues + j) * plane, values[j]);
  }
}

template <const auto& m>
void patches(const WinogradPatches& t) {
  for (int64_t tile = 0; tile < t.tiles; ++tile)
    for (int c = 0; c < t.channels; c += kLanes)
      transform_patch<m>(t.picture + tile * t.step + c, t.row, t.channels,
                         t.planes + tile * t.channels + c, t.plane);
}

// The largest of each window, the first one where some are equal.
template <int kOut, int kPool>
ASSAY_INLINE void store_pooled(const WinogradOutput& t, const vf (&z)[kOut][kOut], int column0,
                               int k) {
  for (int i = 0; i < kOut / kPool; ++i)
    for (int j = 0; j < kOut / kPool; ++j) {
      const int row = t.first_row + i, column = column0 + j;
      if (row >= t.rows || column >= t.width) continue;
      vf best = z[i * kPool][j * kPool];
      Integers position{};
      for (int w = 1; w < kPool * kPool; ++w) {
        const vf value = z[i * kPool + w / kPool][j * kPool + w % kPool];
        const auto larger = value > best;
        best = larger ? value : best;
        position = larger ? position * 0 + w : position;
      }
      const int64_t at = (int64_t{row} * t.width + column) * t.pixel + k;
      store(t.out + at, best);
      if (t.argmax != nullptr)
        *reinterpret_cast<Bytes*>(t.argmax + at) = __builtin_convertvector(position, Bytes);
    }
}

template <int kOut>
ASSAY_INLINE void store_plain(const WinogradOutput& t, const vf (&z)[kOut][kOut], int column0,
                              int k) {
  for (int i = 0; i < kOut; ++i) {
    const int row = t.first_row + i;
    if (row < 0 || row >= t.rows) continue;
    float* out = t.out + (int64_t{row} * t.width + column0) * t.pixel + k;
    for (int j = 0; j < kOut; ++j)
      if (column0 + j >= 0 && column0 + j < t.width) store(out + j * t.pixel, z[i][j]);
  }
}

template <const auto& m, int kPool>
void output(const WinogradOutput& t) {
  constexpr int kOut = m.kRows, kSums = m.kColumns;
  for (int tile = 0; tile < t.tiles; ++tile)
    for (int k = 0; k < t.columns; k += kLanes) {
      const float* sums = t.planes + tile * t.tile + k;
      vf half[kOut][kSums], z[kOut][kOut];
      for (int j = 0; j < kSums; ++j) {
        vf in[kSums];
        for (int i = 0; i < kSums; ++i) in[i] = load(sums + (i * kSums + j) * t.plane);
        multiply<m>(in, &half[0][j], kSums);
      }
      const vf bias = t.bias != nullptr ? load(t.bias + k) : vf{};
      for (int i = 0; i < kOut; ++i) {
        multiply<m>(half[i], z[i], 1);
        for (int j = 0; j < kOut; ++j) z[i][j] += bias;
      }
      const int column0 = t.first_column + tile * (kOut / kPool);
      if constexpr (kPool == 1)
        store_plain(t, z, column0, k);
      else
        store_pooled<kOut, kPool>(t, z, column0, k);
    }
}

template <const auto& m>
void filters(const WinogradFilters& t) {
  constexpr int kProducts = m.kRows;
  for (int d = 0; d < t.depth; ++d)
    for (int k0 = 0; k0 < t.width; k0 += kLanes) {
      float taps[9][kLanes];
      for (int tap = 0; tap < 9; ++tap)
        for (int k = 0; k < kLanes; ++k)
          taps[tap][k] = t.w[tap * t.tap + d * t.depth_step + (k0 + k) * t.column_step];
      vf half[kProducts][3];
      for (int s = 0; s < 3; ++s) {
        const vf in[3] = {load(taps[s]), load(taps[3 + s]), load(taps[6 + s])};
        multiply<m>(in, &half[0][s], 3);
      }
      for (int i = 0; i < kProducts; ++i) {
        vf u[kProducts];
        multiply<m>(half[i], u, 1);
        for (int j = 0; j < kProducts; ++j)
          store(t.out + (i * kProducts + j) * t.plane + int64_t{d} * t.width + k0, u[j]);
      }
    }
}

template <const auto& m>  // (3, products)
void filter_gradient(const WinogradFilterGradient& t) {
  constexpr int kProducts = m.kColumns;
  const int64_t plane = int64_t{t.C} * t.K;
  for (int k0 = t.k0; k0 < t.k1; k0 += kLanes)
    for (int c = t.c0; c < t.c1; ++c) {
      const float* sums = t.planes + int64_t{c} * t.K + k0;
      vf half[3][kProducts];
      for (int j = 0; j < kProducts; ++j) {
        vf in[kProducts];
        for (int i = 0; i < kProducts; ++i) in[i] = load(sums + (i * kProducts + j) * plane);
        multiply<m>(in, &half[0][j], kProducts);
      }
      for (int r = 0; r < 3; ++r) {
        vf taps[3];
        multiply<m>(half[r], taps, 1);
        for (int s = 0; s < 3; ++s)
          for (int k = 0; k < kLanes; ++k)
            t.dw[(int64_t{k0 + k} * 9 + r * 3 + s) * t.C + c] = taps[s][k];
      }
    }
}

// Every matrix under a name of its own: Clang 14 takes no member as a template argument.
constexpr auto kPlainSource = winograd_plain(false).source;
constexpr auto kPlainOutput = winograd_plain(false).output;
constexpr auto kPlainFilter = winograd_plain(false).filter;
constexpr auto kTurnedFilter = winograd_plain(true).filter;
constexpr auto kUpsampledSource = winograd_upsampled().source;
constexpr auto kUpsampledOutput = winograd_upsampled().output;
constexpr auto kUpsampledFilter = winograd_upsampled().filter;
constexpr auto kUpsampledBackSource = winograd_upsampled_back().source;
constexpr auto kUpsampledBackOutput = winograd_upsampled_back().output;
constexpr auto kUpsampledBackFilter = winograd_upsampled_back().filter;
constexpr auto kPlainDz = transposed(kPlainOutput);
constexpr auto kPlainGradient = transposed(kPlainFilter);
constexpr auto kUpsampledDz = transposed(kUpsampledOutput);
constexpr auto kUpsampledGradient = transposed(kUpsampledFilter);

}  // namespace

void winograd_source(WinogradKind kind, const WinogradPatches& t) {
  switch (kind) {
    case WinogradKind::fprop:
    case WinogradKind::dgrad:
      return patches<kPlainSource>(t);
    case WinogradKind::fprop_upsampled:
      return patches<kUpsampledSource>(t);
    case WinogradKind::dgrad_upsampled:
      return patches<kUpsampledBackSource>(t);
  }
}

void winograd_dz(WinogradKind kind, const WinogradPatches& t) {
  if (kind == WinogradKind::fprop_upsampled) return patches<kUpsampledDz>(t);
  patches<kPlainDz>(t);
}

void winograd_output(WinogradKind kind, const WinogradOutput& t) {
  switch (kind) {
    case WinogradKind::fprop:
    case WinogradKind::dgrad:
      if (t.pool == 2) return output<kPlainOutput, 2>(t);
      if (t.pool == 4) return output<kPlainOutput, 4>(t);
      return output<kPlainOutput, 1>(t);
    case WinogradKind::fprop_upsampled:
      return output<kUpsampledOutput, 1>(t);
    case WinogradKind::dgrad_upsampled:
      return output<kUpsampledBackOutput, 1>(t);
  }
}

void winograd_filters(WinogradKind kind, const WinogradFilters& t) {
  switch (kind) {
    case WinogradKind::fprop:
      return filters<kPlainFilter>(t);
    case WinogradKind::dgrad:
      return filters<kTurnedFilter>(t);
    case WinogradKind::fprop_upsampled:
      return filters<kUpsampledFilter>(t);
    case WinogradKind::dgrad_upsampled:
      return filters<kUpsampledBackFilter>(t);
  }
}

void winograd_filter_gradient(WinogradKind kind, const WinogradFilterGradient& t) {
  if (kind == WinogradKind::fprop_upsampled) return filter_gradient<kUpsampledGradient>(t);
  filter_gradient<kPlainGradient>(t);
}

}  // namespace assay::cpu::ASSAY_ISA
