#include "kernels/runtime/simd.h"

#include <utility>

#include "kernels/conv2d/winograd.h"
#include "kernels/conv2d/winograd_narrow_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

constexpr int kC = kNarrowChannels;
typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

// The points of F(4,3) are 0, +-a, +-b and infinity. Opposite points share their even and their odd
// powers: 12 multiply-adds instead of 22 for a transformed patch, 12 operations instead of 18 back.
constexpr auto kAxis = winograd_plain(false);
constexpr float kA = kAxis.output.at[1][1], kB = kAxis.output.at[1][3];
constexpr float kAA = kA * kA, kBB = kB * kB;

ASSAY_INLINE void to_source(const vf (&d)[6], vf (&v)[6]) {
  constexpr float kProduct = kAA * kBB, kSum = kAA + kBB;
  const vf even_a = d[4] - kBB * d[2], odd_a = d[3] - kBB * d[1];
  const vf even_b = d[4] - kAA * d[2], odd_b = d[3] - kAA * d[1];
  v[0] = d[4] - kSum * d[2] + kProduct * d[0];
  v[1] = even_a + kA * odd_a;
  v[2] = even_a - kA * odd_a;
  v[3] = even_b + kB * odd_b;
  v[4] = even_b - kB * odd_b;
  v[5] = d[5] - kSum * d[3] + kProduct * d[1];
}

ASSAY_INLINE void to_output(const vf (&m)[6], vf (&z)[4]) {
  const vf sum_a = m[1] + m[2], difference_a = m[1] - m[2];
  const vf sum_b = m[3] + m[4], difference_b = m[3] - m[4];
  z[0] = m[0] + sum_a + sum_b;
  z[1] = kA * difference_a + kB * difference_b;
  z[2] = kAA * sum_a + kBB * sum_b;
  z[3] = m[5] + kA * kAA * difference_a + kB * kBB * difference_b;
}

// Some patches -> values (36,tiles,16).
void transform_patches(const NarrowTiles& t, const float* picture, int tiles, float* values) {
  const int64_t plane = int64_t{tiles} * kC;
  for (int tile = 0; tile < tiles; ++tile, picture += 4 * kC, values += kC)
    for (int c = 0; c < kC; c += kLanes) {
      vf half[6][6];  // row of the transform, column of the patch
      for (int j = 0; j < 6; ++j) {
        vf d[6], v[6];
        for (int i = 0; i < 6; ++i) d[i] = load(picture + i * t.row + j * kC + c);
        to_source(d, v);
        for (int i = 0; i < 6; ++i) half[i][j] = v[i];
      }
      for (int i = 0; i < 6; ++i) {
        vf v[6];
        to_source(half[i], v);
        for (int j = 0; j < 6; ++j) store(values + (i * 6 + j) * plane + c, v[j]);
      }
    }
}

// Element e of the transformed patches of kTiles tiles times that of the filters.
template <int kTiles>
ASSAY_INLINE void multiply(const float* values, const float* filter, vf (&sums)[kTiles]) {
  for (int i = 0; i < kTiles; ++i) sums[i] = vf{};
  for (int c = 0; c < kC; ++c) {
    const vf w = load(filter + c * kC);
    for (int i = 0; i < kTiles; ++i) sums[i] += values[i * kC + c] * w;
  }
}

// Products of a row of elements, transformed along it: kTiles of `tiles` tiles -> sums
// (6 rows,tiles,4,16).
template <int kTiles>
void multiply_rows(const float* values, const float* filters, int tiles, float* sums) {
  for (int i = 0; i < 6; ++i)
    for (int k = 0; k < kC; k += kLanes) {
      float products[6][kTiles][kLanes] __attribute__((aligned(64)));
      for (int j = 0; j < 6; ++j) {
        vf sum[kTiles];
        const int e = i * 6 + j;
        multiply<kTiles>(values + int64_t{e} * tiles * kC, filters + e * kC * kC + k, sum);
        for (int n = 0; n < kTiles; ++n) store(products[j][n], sum[n]);
      }
      for (int n = 0; n < kTiles; ++n) {
        vf m[6], z[4];
        for (int j = 0; j < 6; ++j) m[j] = load(products[j][n]);
        to_output(m, z);
        float* to = sums + (int64_t{i} * tiles + n) * 4 * kC + k;
        for (int j = 0; j < 4; ++j) store(to + j * kC, z[j]);
      }
    }
}

template <int... kTiles>
ASSAY_INLINE void multiply_any(std::integer_sequence<int, kTiles...>, int count,
                               const float* values, const float* filters, float* sums) {
  ((count == kTiles + 1 ? multiply_rows<kTiles + 1>(values, filters, count, sums) : void()), ...);
}

// One window of kPool x kPool pixels -> its largest and where, the first one where some are equal.
template <int kPool>
ASSAY_INLINE void store_window(const NarrowTiles& t, const vf (&z)[4][4], int a, int b, int row,
                               int column, int k) {
  if (row >= t.rows || column >= t.width) return;
  vf best = z[a][b];
  vi position{};
  for (int w = 1; w < kPool * kPool; ++w) {
    const vf value = z[a + w / kPool][b + w % kPool];
    const vi larger = value > best;
    best = select(larger, value, best);
    position = larger ? position * 0 + w : position;
  }
  const int64_t at = (int64_t{row} * t.width + column) * kC + k;
  store(t.out + at, best);
  if (kPool > 1 && t.argmax != nullptr)
    *reinterpret_cast<Bytes*>(t.argmax + at) = __builtin_convertvector(position, Bytes);
}

template <int kPool>
void finish(const NarrowTiles& t, int first_tile, int tiles, const float* sums) {
  for (int n = 0; n < tiles; ++n)
    for (int k = 0; k < kC; k += kLanes) {
      vf z[4][4];
      const vf bias = t.bias != nullptr ? load(t.bias + k) : vf{};
      for (int j = 0; j < 4; ++j) {
        vf m[6], column[4];
        for (int i = 0; i < 6; ++i) m[i] = load(sums + ((int64_t{i} * tiles + n) * 4 + j) * kC + k);
        to_output(m, column);
        for (int i = 0; i < 4; ++i) z[i][j] = column[i] + bias;
      }
      constexpr int kWindows = 4 / kPool;
      for (int i = 0; i < kWindows; ++i)
        for (int j = 0; j < kWindows; ++j)
          store_window<kPool>(t, z, i * kPool, j * kPool, t.first_row + i,
                              (first_tile + n) * kWindows + j, k);
    }
}

}  // namespace

void winograd_narrow(const NarrowTiles& t) {
  const int groups = (t.tiles + kNarrowTiles - 1) / kNarrowTiles;
  float* values = t.scratch;
  float* sums = values + int64_t{36} * kNarrowTiles * kC;
  for (int g = 0; g < groups; ++g) {
    const int first = t.tiles * g / groups, tiles = t.tiles * (g + 1) / groups - first;
    transform_patches(t, t.picture + int64_t{first} * 4 * kC, tiles, values);
    multiply_any(std::make_integer_sequence<int, kNarrowTiles>{}, tiles, values, t.filters, sums);
    if (t.pool == 1)
      finish<1>(t, first, tiles, sums);
    else if (t.pool == 2)
      finish<2>(t, first, tiles, sums);
    else
      finish<4>(t, first, tiles, sums);
  }
}

}  // namespace assay::cpu::ASSAY_ISA
