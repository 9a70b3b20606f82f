#include "kernels/runtime/simd.h"

#include <utility>

#include "kernels/conv2d/cpu/winograd/matrix_simd.h"
#include "kernels/conv2d/cpu/winograd/simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

typedef int32_t Integers __attribute__((vector_size(kLanes * 4)));
typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

// Patch (columns x columns of the matrix) of one vector of channels -> planes.
template <const auto& m, int kPhases>
ASSAY_INLINE void transform_patch(const float* image, int64_t row, int64_t column, float* planes,
                                  int64_t plane) {
  constexpr int kPatch = m.kColumns, kValues = m.kRows;
  vf half[kValues][kPatch];
  for (int j = 0; j < kPatch; ++j) {
    vf in[kPatch];
    for (int i = 0; i < kPatch; ++i) in[i] = load(image + i * row + j * column);
    multiply<m>(in, &half[0][j], kPatch);
  }
  for (int i = 0; i < kValues; ++i) {
    vf values[kValues];
    multiply<m>(half[i], values, 1);
    for (int j = 0; j < kValues; ++j)
      store(planes + plane_of(i, j, kValues, kPhases) * plane, values[j]);
  }
}

template <const auto& m, int kPhases = 1>
void patches(const WinogradPatches& t) {
  for (int64_t tile = 0; tile < t.tiles; ++tile)
    for (int c = 0; c < t.channels; c += kLanes)
      transform_patch<m, kPhases>(t.image + tile * t.step + c, t.row, t.column,
                                  t.planes + tile * t.channels + c, t.plane);
}

// Maximum of each window and the position of its first occurrence.
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
    for (int k = 0; k < t.out_channels; k += kLanes) {
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

template <int kStep, int... lane>
ASSAY_INLINE void exchange(vf& a, vf& b, std::integer_sequence<int, lane...>) {
  const vf low =
      __builtin_shufflevector(a, b, ((lane & kStep) != 0 ? kLanes + lane - kStep : lane)...);
  b = __builtin_shufflevector(a, b, ((lane & kStep) != 0 ? kLanes + lane : lane + kStep)...);
  a = low;
}
// Transposes a square: each round exchanges one bit of the vector's number with one of the lane's.
template <int kStep = kLanes / 2>
ASSAY_INLINE void transpose(vf (&v)[kLanes]) {
  for (int i = 0; i < kLanes; ++i)
    if ((i & kStep) == 0)
      exchange<kStep>(v[i], v[i + kStep], std::make_integer_sequence<int, kLanes>{});
  if constexpr (kStep > 1) transpose<kStep / 2>(v);
}

// Taps of kLanes output channels (the lanes of a vector) at kLanes input channels (the vectors).
ASSAY_INLINE void load_taps(const WinogradFilters& t, const float* w, vf (&taps)[kLanes]) {
  if (t.out_step == 1) {
    for (int d = 0; d < kLanes; ++d) taps[d] = load(w + d * t.in_step);
  } else {  // input channels stand side by side
    for (int k = 0; k < kLanes; ++k) taps[k] = load(w + k * t.out_step);
    transpose(taps);
  }
}

// All products of one input channel and one vector of output channels.
template <const auto& m, int kPhases>
ASSAY_INLINE void transform_filter(const WinogradFilters& t,
                                   const vf (&taps)[m.kColumns][m.kColumns], float* out) {
  constexpr int kProducts = m.kRows, kTaps = m.kColumns, kSums = kProducts / kPhases;
  vf half[kProducts][kTaps];
  for (int s = 0; s < kTaps; ++s) {
    vf in[kTaps];
    for (int r = 0; r < kTaps; ++r) in[r] = taps[r][s];
    multiply<m>(in, &half[0][s], kTaps);
  }
  const int64_t panel = int64_t{t.in_channels} * t.width;
  for (int i = 0; i < kProducts; ++i) {
    vf u[kProducts];
    multiply<m>(half[i], u, 1);
    float* sum = out + i / kPhases * kSums * t.plane + i % kPhases * kPhases * panel;
    for (int j = 0; j < kProducts; ++j)
      store(sum + j / kPhases * t.plane + j % kPhases * panel, u[j]);
  }
}

template <const auto& m, int kPhases = 1>
void filters(const WinogradFilters& t) {
  constexpr int kTaps = m.kColumns;
  for (int d0 = 0; d0 < t.in_channels; d0 += kLanes)
    for (int k0 = 0; k0 < t.width; k0 += kLanes) {
      vf taps[kLanes][kTaps][kTaps];
      for (int tap = 0; tap < kTaps * kTaps; ++tap) {
        vf column[kLanes];
        load_taps(t, t.w + tap * t.tap + d0 * t.in_step + k0 * t.out_step, column);
        for (int d = 0; d < kLanes; ++d) taps[d][tap / kTaps][tap % kTaps] = column[d];
      }
      for (int d = 0; d < kLanes; ++d)
        transform_filter<m, kPhases>(t, taps[d], t.out + int64_t{d0 + d} * t.width + k0);
    }
}

// Row t.row of the products alone; output channels stand side by side in memory.
template <const auto& m>
void filters_of_row(const WinogradFilters& t) {
  constexpr int kProducts = m.kRows, kTaps = m.kColumns;
  unrolled<kProducts>([&](auto row) {
    if (row != t.row) return;
    for (int d = 0; d < t.in_channels; ++d)
      for (int k0 = 0; k0 < t.width; k0 += kLanes) {
        const float* w = t.w + d * t.in_step + k0;
        vf half[kTaps], u[kProducts];
        for (int s = 0; s < kTaps; ++s) {
          half[s] = vf{};
          unrolled<kTaps>([&](auto r) __attribute__((always_inline)) {
            constexpr float f = m.at[row][r];
            if constexpr (f != 0) half[s] += f * load(w + (r * kTaps + s) * t.tap);
          });
        }
        multiply<m>(half, u, 1);
        float* out = t.out + int64_t{d} * t.width + k0;
        for (int j = 0; j < kProducts; ++j) store(out + j * t.plane, u[j]);
      }
  });
}

template <const auto& m>  // (taps, products)
void filter_gradient(const WinogradFilterGradient& t) {
  constexpr int kTaps = m.kRows, kProducts = m.kColumns;
  for (int k = 0; k < t.filters; ++k)
    for (int c = 0; c < t.channels; c += kLanes) {
      const float* sums = t.planes + k * t.row + c;
      vf half[kTaps][kProducts];
      for (int j = 0; j < kProducts; ++j) {
        vf in[kProducts];
        for (int i = 0; i < kProducts; ++i) in[i] = load(sums + (i * kProducts + j) * t.plane);
        multiply<m>(in, &half[0][j], kProducts);
      }
      for (int r = 0; r < kTaps; ++r) {
        vf taps[kTaps];
        multiply<m>(half[r], taps, 1);
        float* dw = t.dw + k * t.filter + r * kTaps * t.tap + c;
        for (int s = 0; s < kTaps; ++s, dw += t.tap)
          store(dw, t.accumulate ? load(dw) + taps[s] : taps[s]);
      }
    }
}

// Every matrix has a name of its own, because Clang 14 takes no member as a template argument.
constexpr auto kPlainSource = winograd_plain(false).source;
constexpr auto kPlainOutput = winograd_plain(false).output;
constexpr auto kPlainFilter = winograd_plain(false).filter;
constexpr auto kFlippedFilter = winograd_plain(true).filter;
constexpr auto kUpsampledSource = winograd_upsampled().source;
constexpr auto kUpsampledOutput = winograd_upsampled().output;
constexpr auto kUpsampledFilter = winograd_upsampled().filter;
constexpr auto kUpsampledBackSource = winograd_upsampled_back().source;
constexpr auto kUpsampledBackOutput = winograd_upsampled_back().output;
constexpr auto kUpsampledBackFilter = winograd_upsampled_back().filter;
constexpr auto kStridedSource = winograd_strided().source;
constexpr auto kStridedOutput = winograd_strided().output;
constexpr auto kStridedFilter = winograd_strided().filter;
constexpr auto kStridedBackSource = winograd_strided_back().source;
constexpr auto kStridedBackOutput = winograd_strided_back().output;
constexpr auto kStridedBackFilter = winograd_strided_back().filter;
constexpr auto kPlainDz = transposed(kPlainOutput);
constexpr auto kPlainGradient = transposed(kPlainFilter);
constexpr auto kUpsampledDz = transposed(kUpsampledOutput);
constexpr auto kUpsampledGradient = transposed(kUpsampledFilter);
constexpr auto kStridedDz = transposed(kStridedOutput);
constexpr auto kStridedGradient = transposed(kStridedFilter);

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
    case WinogradKind::fprop_strided:
      return patches<kStridedSource, kStridedPhases>(t);
    case WinogradKind::dgrad_strided:
      return patches<kStridedBackSource>(t);
  }
}

void winograd_dz(WinogradKind kind, const WinogradPatches& t) {
  if (kind == WinogradKind::fprop_upsampled) return patches<kUpsampledDz>(t);
  if (kind == WinogradKind::fprop_strided) return patches<kStridedDz>(t);
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
    case WinogradKind::fprop_strided:
      return output<kStridedOutput, 1>(t);
    case WinogradKind::dgrad_strided:
      return output<kStridedBackOutput, 1>(t);
  }
}

void winograd_filters(WinogradKind kind, const WinogradFilters& t) {
  switch (kind) {
    case WinogradKind::fprop:
      return filters<kPlainFilter>(t);
    case WinogradKind::dgrad:
      return filters<kFlippedFilter>(t);
    case WinogradKind::fprop_upsampled:
      return filters<kUpsampledFilter>(t);
    case WinogradKind::dgrad_upsampled:
      return filters<kUpsampledBackFilter>(t);
    case WinogradKind::fprop_strided:
      return filters<kStridedFilter, kStridedPhases>(t);
    case WinogradKind::dgrad_strided:
      return filters_of_row<kStridedBackFilter>(t);
  }
}

void winograd_filter_gradient(WinogradKind kind, const WinogradFilterGradient& t) {
  if (kind == WinogradKind::fprop_upsampled) return filter_gradient<kUpsampledGradient>(t);
  if (kind == WinogradKind::fprop_strided) return filter_gradient<kStridedGradient>(t);
  filter_gradient<kPlainGradient>(t);
}

}  // namespace assay::cpu::ASSAY_ISA
