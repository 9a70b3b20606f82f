#include "kernels/runtime/simd.h"

#include <utility>

#include "kernels/gemm/cpu/tile.h"
#include "kernels/pointwise/activation_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

// Narrow vectors for few columns: a vector of 4 floats wastes less on K = 3 than one of 16.
template <int L>
struct Vector {
  typedef float type __attribute__((vector_size(L * 4)));
  typedef float unaligned __attribute__((vector_size(L * 4), aligned(4), may_alias));
  typedef int32_t integers __attribute__((vector_size(L * 4)));
  typedef uint8_t bytes __attribute__((vector_size(L), aligned(1), may_alias));
};
template <int L>
using V = typename Vector<L>::type;

template <int L>
ASSAY_INLINE V<L> load_v(const float* p) {
  return *reinterpret_cast<const typename Vector<L>::unaligned*>(p);
}
template <int L>
ASSAY_INLINE void store_v(float* p, V<L> v) {
  *reinterpret_cast<typename Vector<L>::unaligned*>(p) = v;
}

// Rows in registers: as many accumulators as fit beside one panel row and one broadcast.
constexpr int kRegisters = kLanes == 16 ? 32 : 16;
constexpr int rows_of(int vectors) {
  return kRegisters == 32 ? (vectors == 2 ? 12 : 14) : (vectors == 2 ? 6 : 10);
}
// Rows in registers for pooled products: whole windows of 4, or whole fractions of a window of 16.
constexpr int pooled_rows_of(int vectors, int window) {
  if (kRegisters == 32) return window == 4 ? 12 : (vectors == 2 ? 8 : 16);
  return vectors == 2 ? 4 : 8;
}

// Vector v of the bias.
template <int L, int NV>
ASSAY_INLINE V<L> bias_of(const TileJob& t, int v) {
  if (t.bias == nullptr) return V<L>{};
  if (t.columns == L * NV) return load_v<L>(t.bias + v * L);
  V<L> bias{};
  for (int l = 0; l < L && v * L + l < t.columns; ++l) bias[l] = t.bias[v * L + l];
  return bias;
}

// ---- Few columns: the lanes are values of a run (tile.h) ----

constexpr int kNarrow = 4;  // width of such a panel
constexpr int kDotRows = kRegisters == 32 ? 7 : 3;

ASSAY_INLINE bool is_interleaved(int width, int run) {
  return kLanes > kNarrow && width == kNarrow && run % kLanes == 0;
}

// In each quarter of four lanes: lanes `from` and `from + 1` of a, then those of b.
template <int from, int... lane>
ASSAY_INLINE vf pairs(vf a, vf b, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(a, b,
                                 ((lane & 1) * kLanes + (lane & ~3) + from + (lane >> 1 & 1))...);
}
// Lanes `from` and `from + 1` of each quarter of a, then those of b.
template <int from, int... lane>
ASSAY_INLINE vf halves(vf a, vf b, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(a, b,
                                 ((lane >> 1 & 1) * kLanes + (lane & ~3) + from + (lane & 1))...);
}

// Lane k of the result is the sum of all lanes of v[k].
ASSAY_INLINE V<4> sums_of(const vf (&v)[kNarrow]) {
  constexpr std::make_integer_sequence<int, kLanes> lanes;
  const vf a = pairs<0>(v[0], v[1], lanes) + pairs<2>(v[0], v[1], lanes);  // 0 1 0 1
  const vf b = pairs<0>(v[2], v[3], lanes) + pairs<2>(v[2], v[3], lanes);  // 2 3 2 3
  const vf quarters = halves<0>(a, b, lanes) + halves<2>(a, b, lanes);     // 0 1 2 3
  float lane[kLanes];
  store(lane, quarters);
  V<4> sum = load_v<4>(lane);
  for (int i = 4; i < kLanes; i += 4) sum += load_v<4>(lane + i);
  return sum;
}

// Not inlined, because its accumulators need all registers.
template <int kColumns, int R>
__attribute__((noinline)) void dot_rows(const TileJob& t, const float* const* rows, V<4>* sums) {
  const float* a[R];
  for (int i = 0; i < R; ++i) a[i] = rows[i];
  vf acc[R][kNarrow] = {};
  const float* b = t.panel;
  for (int r = 0; r < t.taps; ++r) {
    for (int j = 0; j < t.run; j += kLanes, b += kNarrow * kLanes) {
      vf w[kColumns];
      for (int k = 0; k < kColumns; ++k) w[k] = load(b + k * kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const vf x = load(a[i] + j);
        for (int k = 0; k < kColumns; ++k) acc[i][k] += x * w[k];
      }
    }
    for (int i = 0; i < R; ++i) a[i] += t.a_row;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) sums[i] = sums_of(acc[i]);
}

template <int kColumns, int R>
ASSAY_INLINE void dots(const TileJob& t, const float* const* rows, V<4>* sums) {
  if constexpr (R > kDotRows) {
    dot_rows<kColumns, kDotRows>(t, rows, sums);
    dots<kColumns, R - kDotRows>(t, rows + kDotRows, sums + kDotRows);
  } else {
    dot_rows<kColumns, R>(t, rows, sums);
  }
}

// ---- The product of a few rows ----

// acc = bias + the product of MR rows, which start at a[i], with the panel.
template <int L, int NV, int MR>
ASSAY_INLINE void accumulate(const TileJob& t, const float* (&a)[MR], V<L> (&acc)[MR][NV]) {
  for (int v = 0; v < NV; ++v) {
    const V<L> bias = bias_of<L, NV>(t, v);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) acc[i][v] = bias;
  }
  if constexpr (L == kNarrow && NV == 1) {
    if (is_interleaved(t.width, t.run)) {
      V<4> sums[MR];
      if (t.columns == 1)
        dots<1, MR>(t, a, sums);
      else if (t.columns <= 3)
        dots<3, MR>(t, a, sums);
      else
        dots<4, MR>(t, a, sums);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) acc[i][0] += sums[i];
      return;
    }
  }
  const float* b = t.panel;
  for (int r = 0; r < t.taps; ++r) {
    for (int j = 0; j < t.run; ++j, b += L * NV) {
      V<L> w[NV];
      for (int v = 0; v < NV; ++v) w[v] = load_v<L>(b + v * L);
      for (int i = 0; i < MR; ++i) {
        const float x = a[i][j];
        for (int v = 0; v < NV; ++v) acc[i][v] += x * w[v];
      }
    }
    for (int i = 0; i < MR; ++i) a[i] += t.a_row;
  }
}

template <int L, int NV, int MR>
ASSAY_INLINE void product_rows(const TileJob& t, int64_t m0, int rows) {
  constexpr int kWidth = L * NV;
  const float* a[MR];
  for (int i = 0; i < MR; ++i) a[i] = t.a + t.a_offset[m0 + (i < rows ? i : 0)];
  V<L> acc[MR][NV];
  accumulate<L, NV, MR>(t, a, acc);
  const int64_t* to = t.out_offset + m0;
  if (rows == MR && t.columns == kWidth) {
    // Unrolled, because an accumulator with a variable index would be in memory.
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
      for (int v = 0; v < NV; ++v) {
        float* out = t.out + to[i] + v * L;
        store_v<L>(out, t.accumulate ? load_v<L>(out) + acc[i][v] : acc[i][v]);
      }
    return;
  }
  float lane[MR][kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
    for (int v = 0; v < NV; ++v) store_v<L>(lane[i] + v * L, acc[i][v]);
  for (int i = 0; i < rows; ++i) {
    float* out = t.out + to[i];
    for (int k = 0; k < t.columns; ++k) out[k] = t.accumulate ? out[k] + lane[i][k] : lane[i][k];
  }
}

template <int L, int NV>
void product(const TileJob& t) {
  constexpr int MR = rows_of(NV);
  int64_t m = 0;
  for (; m + MR <= t.M; m += MR) product_rows<L, NV, MR>(t, m, MR);
  const int rest = static_cast<int>(t.M - m);
  if (rest > MR * 2 / 3)
    product_rows<L, NV, MR>(t, m, rest);
  else if (rest > MR / 2)
    product_rows<L, NV, MR * 2 / 3>(t, m, rest);
  else if (rest > 2)
    product_rows<L, NV, MR / 2>(t, m, rest);
  else if (rest > 0)
    product_rows<L, NV, 2>(t, m, rest);
}

template <int L, int NV>
ASSAY_INLINE void store_window(const TileJob& t, int64_t window, const V<L> (&best)[NV],
                               const typename Vector<L>::integers (&position)[NV]) {
  using Bytes = typename Vector<L>::bytes;
  constexpr int kWidth = L * NV;
  float* out = t.out + t.out_offset[window];
  uint8_t* argmax = t.argmax != nullptr ? t.argmax + t.out_offset[window] : nullptr;
  if (t.columns == kWidth) {
    for (int v = 0; v < NV; ++v) store_v<L>(out + v * L, best[v]);
    if (argmax == nullptr) return;
    for (int v = 0; v < NV; ++v)
      *reinterpret_cast<Bytes*>(argmax + v * L) = __builtin_convertvector(position[v], Bytes);
    return;
  }
  for (int v = 0; v < NV; ++v)
    for (int l = 0; l < L && v * L + l < t.columns; ++l) {
      out[v * L + l] = best[v][l];
      if (argmax != nullptr) argmax[v * L + l] = static_cast<uint8_t>(position[v][l]);
    }
}

// Keeps the larger of best and acc, which is row `here` of its window; best if they are equal.
template <int L>
ASSAY_INLINE void take_larger(V<L> acc, int here, V<L>& best,
                              typename Vector<L>::integers& position) {
  const auto larger = acc > best;
  best = larger ? acc : best;
  position = larger ? position * 0 + here : position;
}

// Stores a tile that holds whole windows.
template <int L, int NV, int kWindow, int MR>
void windows_in_tile(const TileJob& t) {
  constexpr int kWindows = MR / kWindow;
  const int64_t windows = t.M / kWindow;
  for (int64_t w = 0; w < windows; w += kWindows) {
    const float* a[MR];
    for (int i = 0; i < MR; ++i) {
      const int64_t window = w + i / kWindow < windows ? w + i / kWindow : w;
      a[i] = t.a + t.a_offset[window * kWindow + i % kWindow];
    }
    V<L> acc[MR][NV];
    accumulate<L, NV, MR>(t, a, acc);
    for (int g = 0; g < kWindows && w + g < windows; ++g) {
      V<L> best[NV];
      typename Vector<L>::integers position[NV] = {};
      for (int v = 0; v < NV; ++v) best[v] = acc[g * kWindow][v];
      for (int i = 1; i < kWindow; ++i)
        for (int v = 0; v < NV; ++v)
          take_larger<L>(acc[g * kWindow + i][v], i, best[v], position[v]);
      store_window<L, NV>(t, w + g, best, position);
    }
  }
}

template <int L, int NV>
struct Largest {
  V<L> best[NV];
  typename Vector<L>::integers position[NV];
};

// Not inlined, so that the maxima so far wait in memory and not in the accumulators' registers.
template <int L, int NV, int MR>
__attribute__((noinline)) void merge_tile(const TileJob& t, const int64_t* a_offset, int first,
                                          Largest<L, NV>& largest) {
  const float* a[MR];
  for (int i = 0; i < MR; ++i) a[i] = t.a + a_offset[i];
  V<L> acc[MR][NV];
  accumulate<L, NV, MR>(t, a, acc);
  for (int v = 0; v < NV; ++v) {
    V<L> best = first == 0 ? acc[0][v] : largest.best[v];
    typename Vector<L>::integers position = largest.position[v];
    for (int i = 0; i < MR; ++i) take_larger<L>(acc[i][v], first + i, best, position);
    largest.best[v] = best;
    largest.position[v] = position;
  }
}

// Stores a window that takes several whole tiles.
template <int L, int NV, int kWindow, int MR>
void tiles_in_window(const TileJob& t) {
  for (int64_t w = 0; w < t.M / kWindow; ++w) {
    Largest<L, NV> largest = {};
    for (int first = 0; first < kWindow; first += MR)
      merge_tile<L, NV, MR>(t, t.a_offset + w * kWindow + first, first, largest);
    store_window<L, NV>(t, w, largest.best, largest.position);
  }
}

template <int L, int NV, int kWindow>
void pooled_product(const TileJob& t) {
  constexpr int MR = pooled_rows_of(NV, kWindow);
  if constexpr (MR >= kWindow)
    windows_in_tile<L, NV, kWindow, MR>(t);
  else
    tiles_in_window<L, NV, kWindow, MR>(t);
}

template <int L, int NV>
void any_product(const TileJob& t) {
  if (t.window == 1) return product<L, NV>(t);
  if (t.window == 4) return pooled_product<L, NV, 4>(t);
  pooled_product<L, NV, 16>(t);
}

template <int NV, int MR>
ASSAY_INLINE void outer_rows(const OuterJob& t, int i0, int j0) {
  vf acc[MR][NV];
  float* out = t.out + i0 * t.out_row + j0;
  for (int i = 0; i < MR; ++i)
    for (int v = 0; v < NV; ++v) acc[i][v] = load(out + i * t.out_row + v * kLanes);
  for (int64_t m = 0; m < t.M; ++m) {
    const float* a = t.a + t.a_offset[m] + i0;
    const float* b = t.b + t.b_offset[m] + j0;
    vf w[NV];
    for (int v = 0; v < NV; ++v) w[v] = load(b + v * kLanes);
    for (int i = 0; i < MR; ++i)
      for (int v = 0; v < NV; ++v) acc[i][v] += a[i] * w[v];
  }
  for (int i = 0; i < MR; ++i)
    for (int v = 0; v < NV; ++v) store(out + i * t.out_row + v * kLanes, acc[i][v]);
}

template <int NV>
void outer_columns(const OuterJob& t, int j0) {
  constexpr int kMost = kRegisters == 32 ? 12 : 6;
  int i = 0;
  for (; i + kMost <= t.I; i += kMost) outer_rows<NV, kMost>(t, i, j0);
  // The remaining rows in as few passes as possible: 9 are a 3x3 filter of one channel; 8 and 4 are
  // the remainders of 32, 64 and 128 channels by 12.
  if constexpr (kMost == 12) {
    for (; i + 9 <= t.I; i += 9) outer_rows<NV, 9>(t, i, j0);
    for (; i + 8 <= t.I; i += 8) outer_rows<NV, 8>(t, i, j0);
    for (; i + 6 <= t.I; i += 6) outer_rows<NV, 6>(t, i, j0);
  }
  for (; i + 4 <= t.I; i += 4) outer_rows<NV, 4>(t, i, j0);
  for (; i + 3 <= t.I; i += 3) outer_rows<NV, 3>(t, i, j0);
  for (; i + 2 <= t.I; i += 2) outer_rows<NV, 2>(t, i, j0);
  for (; i < t.I; ++i) outer_rows<NV, 1>(t, i, j0);
}

// NV vectors of row m from column n, the last of `real` lanes.
template <int NV>
ASSAY_INLINE void few_terms(const FewTermsJob& t, int m, int n, int real) {
  const auto at = [real](const float* p, int v) {
    return v == NV - 1 && real < kLanes ? load_first(p + v * kLanes, real) : load(p + v * kLanes);
  };
  vf acc[NV] = {};
  if (t.bias != nullptr)
    for (int v = 0; v < NV; ++v) acc[v] = at(t.bias + n, v);
  for (int k = 0; k < t.K; ++k) {
    const float x = t.a[m * t.a_row + k * t.a_term];
    for (int v = 0; v < NV; ++v) acc[v] += x * at(t.b + k * t.b_row + n, v);
  }
  float* c = t.c + m * t.c_row + n;
  if (t.accumulate)
    for (int v = 0; v < NV; ++v) acc[v] = at(c, v) + acc[v];
  for (int v = 0; v < NV; ++v) store_first(c + v * kLanes, acc[v], v == NV - 1 ? real : kLanes);
}

}  // namespace

int panel_width(int columns) {
  for (int width = 4; width < 2 * kLanes; width *= 2)
    if (columns <= width) return width;
  return 2 * kLanes;
}

void interleave_panel(int64_t rows, int width, int run, float* panel) {
  if (!is_interleaved(width, run)) return;
  for (int64_t r = 0; r < rows; r += kLanes, panel += kLanes * kNarrow) {
    float interleaved[kNarrow * kLanes];
    for (int i = 0; i < kLanes; ++i)
      for (int k = 0; k < kNarrow; ++k) interleaved[k * kLanes + i] = panel[i * kNarrow + k];
    for (int i = 0; i < kNarrow * kLanes; ++i) panel[i] = interleaved[i];
  }
}

void tile_product(const TileJob& t) {
  switch (t.width) {
    case 4:
      return any_product<4, 1>(t);
    case 8:
      return kLanes == 4 ? any_product<4, 2>(t) : any_product<8, 1>(t);
    case 16:
      return kLanes == 8 ? any_product<8, 2>(t) : any_product<16, 1>(t);
    default:
      return any_product<kLanes, 2>(t);
  }
}

void outer_product(const OuterJob& t) {
  int j = 0;
  for (; j + 2 * kLanes <= t.J; j += 2 * kLanes) outer_columns<2>(t, j);
  for (; j < t.J; j += kLanes) outer_columns<1>(t, j);
}

void few_terms_product(const FewTermsJob& t) {
  constexpr int kVectors = 4;
  for (int m = 0; m < t.M; ++m) {
    int n = 0;
    for (; n + kVectors * kLanes <= t.N; n += kVectors * kLanes)
      few_terms<kVectors>(t, m, n, kLanes);
    for (; n < t.N; n += kLanes) few_terms<1>(t, m, n, t.N - n < kLanes ? t.N - n : kLanes);
  }
}

void activate_in_place(Activation a, float slope, int64_t n, float* y) {
  if (a == Activation::none) return;
  with_activation(a, [&](auto kind) {
    constexpr Activation kActivation = decltype(kind)::value;
    const vf steep = broadcast(slope);
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(y + i, activate<kActivation>(steep, load(y + i)));
    if (i < n) {
      const int rest = static_cast<int>(n - i);
      store_first(y + i, activate<kActivation>(steep, load_first(y + i, rest)), rest);
    }
  });
}

}  // namespace assay::cpu::ASSAY_ISA
