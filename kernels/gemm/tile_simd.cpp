#include "kernels/runtime/simd.h"

#include "kernels/gemm/tile.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

// Narrow vectors for few columns: a register of 4 floats wastes less on K = 3 than one of 16.
template <int L>
struct Vector {
  typedef float type __attribute__((vector_size(L * 4)));
  typedef float unaligned __attribute__((vector_size(L * 4), aligned(4), may_alias));
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

template <int L, int NV, int MR>
ASSAY_INLINE void product_rows(const TileJob& t, int64_t m0, int rows) {
  constexpr int kWidth = L * NV;
  const float* a[MR];
  for (int i = 0; i < MR; ++i) a[i] = t.a + t.a_offset[m0 + (i < rows ? i : 0)];
  V<L> acc[MR][NV];
  for (int v = 0; v < NV; ++v) {
    float start[L];
    for (int l = 0; l < L; ++l)
      start[l] = t.bias != nullptr && v * L + l < t.columns ? t.bias[v * L + l] : 0.0f;
    for (int i = 0; i < MR; ++i) acc[i][v] = load_v<L>(start);
  }
  const float* b = t.panel;
  for (int r = 0; r < t.taps; ++r) {
    for (int j = 0; j < t.run; ++j, b += kWidth) {
      V<L> w[NV];
      for (int v = 0; v < NV; ++v) w[v] = load_v<L>(b + v * L);
      for (int i = 0; i < MR; ++i) {
        const float x = a[i][j];
        for (int v = 0; v < NV; ++v) acc[i][v] += x * w[v];
      }
    }
    for (int i = 0; i < MR; ++i) a[i] += t.a_row;
  }
  for (int i = 0; i < MR; ++i) {
    if (i >= rows) break;
    float* out = t.out + t.out_offset[m0 + i];
    if (t.columns == kWidth) {
      for (int v = 0; v < NV; ++v)
        store_v<L>(out + v * L, t.accumulate ? load_v<L>(out + v * L) + acc[i][v] : acc[i][v]);
    } else {
      float lane[kWidth];
      for (int v = 0; v < NV; ++v) store_v<L>(lane + v * L, acc[i][v]);
      for (int k = 0; k < t.columns; ++k) out[k] = t.accumulate ? out[k] + lane[k] : lane[k];
    }
  }
}

template <int L, int NV>
void product(const TileJob& t) {
  constexpr int MR = rows_of(NV);
  int64_t m = 0;
  for (; m + MR <= t.M; m += MR) product_rows<L, NV, MR>(t, m, MR);
  const int rest = static_cast<int>(t.M - m);
  if (rest > MR / 2)
    product_rows<L, NV, MR>(t, m, rest);
  else if (rest > 2)
    product_rows<L, NV, MR / 2>(t, m, rest);
  else if (rest > 0)
    product_rows<L, NV, 2>(t, m, rest);
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
  if constexpr (kMost == 12) {
    for (; i + 9 <= t.I; i += 9) outer_rows<NV, 9>(t, i, j0);
    for (; i + 6 <= t.I; i += 6) outer_rows<NV, 6>(t, i, j0);
  }
  for (; i + 3 <= t.I; i += 3) outer_rows<NV, 3>(t, i, j0);
  for (; i < t.I; ++i) outer_rows<NV, 1>(t, i, j0);
}

// exp for |x| <= 87: 2^n * p(f), Cephes' minimax polynomial; within 2 ulp.
ASSAY_INLINE vf exp_v(vf x) {
  x = min(broadcast(87.0f), max(broadcast(-87.0f), x));  // in this order NaN stays NaN
  const vf magic = broadcast(12582912.0f);               // 1.5 * 2^23: rounds to an integer
  const vf n = (x * 1.44269504088896341f + magic) - magic;
  const vf f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  vf p = broadcast(1.9875691500e-4f);
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.0f;
  const vi bits = (__builtin_convertvector(n, vi) + 127) << 23;
  return p * (vf)bits;  // same bits, as a float
}

ASSAY_INLINE vf activate_v(Activation a, float slope, vf z) {
  switch (a) {
    case Activation::relu:
      return max(vf{}, z);  // NaN stays NaN
    case Activation::leaky_relu:
      return z > vf{} ? z : slope * z;
    case Activation::sigmoid:
      return 1.0f / (1.0f + exp_v(-z));
    case Activation::tanh: {
      const vf e = exp_v(-2.0f * (z > vf{} ? z : -z));  // |z| >= 0: nothing overflows
      const vf t = (1.0f - e) / (1.0f + e);
      return z > vf{} ? t : -t;
    }
    default:
      return z;
  }
}

}  // namespace

int panel_width(int columns) {
  for (int width = 4; width < 2 * kLanes; width *= 2)
    if (columns <= width) return width;
  return 2 * kLanes;
}

void tile_product(const TileJob& t) {
  switch (t.width) {
    case 4:
      return product<4, 1>(t);
    case 8:
      return kLanes == 4 ? product<4, 2>(t) : product<8, 1>(t);
    case 16:
      return kLanes == 8 ? product<8, 2>(t) : product<16, 1>(t);
    default:
      return product<kLanes, 2>(t);
  }
}

void outer_product(const OuterJob& t) {
  int j = 0;
  for (; j + 2 * kLanes <= t.J; j += 2 * kLanes) outer_columns<2>(t, j);
  for (; j < t.J; j += kLanes) outer_columns<1>(t, j);
}

void activate_in_place(Activation a, float slope, int64_t n, float* y) {
  if (a == Activation::none) return;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, activate_v(a, slope, load(y + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_first(y + i, activate_v(a, slope, load_first(y + i, rest)), rest);
  }
}

}  // namespace assay::cpu::ASSAY_ISA
