#include "kernels/runtime/simd.h"

#include "kernels/conv2d/cpu/blocked_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

// Register blocking: a tile of 12 x 2 vectors of C (6 x 2 with 16 registers) stays in registers
// over the whole loop. A step loads 2 vectors of B and 12 values of A for 24 multiply-adds; one sum
// alone would load two values for each.
constexpr int kTileRows = kLanes == 16 ? 12 : 6;
// Cache blocking: a strip of B, kDepth rows of a tile's columns, stays in the first-level cache
// (32 KiB with AVX-512) while all rows of A pass by.
constexpr int64_t kDepth = 256;

// C tile += A rows * B strip; the last vector has `lanes` columns.
template <int kRows, int kVectors, bool kWhole>
ASSAY_INLINE void tile(const BlockedProduct& t, int64_t m, int64_t n, int64_t k0, int64_t k1,
                       int lanes) {
  const auto get = [lanes](const float* p) { return kWhole ? load(p) : load_first(p, lanes); };
  vf sum[kRows][kVectors];
  for (int i = 0; i < kRows; ++i)
    for (int v = 0; v < kVectors; ++v) sum[i][v] = get(t.c + (m + i) * t.c_row + n + v * kLanes);
  for (int64_t k = k0; k < k1; ++k) {
    vf b[kVectors];
    for (int v = 0; v < kVectors; ++v) b[v] = get(t.b + k * t.b_row + n + v * kLanes);
    for (int i = 0; i < kRows; ++i)
      for (int v = 0; v < kVectors; ++v) sum[i][v] += t.a[(m + i) * t.a_row + k] * b[v];
  }
  for (int i = 0; i < kRows; ++i)
    for (int v = 0; v < kVectors; ++v) {
      float* c = t.c + (m + i) * t.c_row + n + v * kLanes;
      if (kWhole)
        store(c, sum[i][v]);
      else
        store_first(c, sum[i][v], lanes);
    }
}

// All rows of A under one strip of B.
template <int kVectors, bool kWhole>
void strip(const BlockedProduct& t, int64_t n, int64_t k0, int64_t k1, int lanes) {
  int64_t m = 0;
  for (; m + kTileRows <= t.M; m += kTileRows)
    tile<kTileRows, kVectors, kWhole>(t, m, n, k0, k1, lanes);
  for (; m < t.M; ++m) tile<1, kVectors, kWhole>(t, m, n, k0, k1, lanes);
}

}  // namespace

void blocked_product(const BlockedProduct& t) {
  for (int64_t k0 = 0; k0 < t.K; k0 += kDepth) {
    const int64_t k1 = k0 + kDepth < t.K ? k0 + kDepth : t.K;
    int64_t n = 0;
    for (; n + 2 * kLanes <= t.N; n += 2 * kLanes) strip<2, true>(t, n, k0, k1, kLanes);
    for (; n + kLanes <= t.N; n += kLanes) strip<1, true>(t, n, k0, k1, kLanes);
    if (n < t.N) strip<1, false>(t, n, k0, k1, static_cast<int>(t.N - n));
  }
}

}  // namespace assay::cpu::ASSAY_ISA
