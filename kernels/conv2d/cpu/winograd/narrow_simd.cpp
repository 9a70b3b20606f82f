#include "kernels/runtime/simd.h"

#include <utility>

#include "kernels/conv2d/cpu/winograd/matrix_simd.h"
#include "kernels/conv2d/cpu/winograd/narrow_simd.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

constexpr int kC = kNarrowChannels;
constexpr int kFewTiles = 8;                                    // per call with few channels
constexpr int kFewRow = (4 * kFewTiles + 2) * kMaxFewChannels;  // floats of a row under kFewTiles
constexpr int kFewPlane = (kFewRow + 15) / 16 * 16;
static_assert(36 * kFewPlane <= 36 * kNarrowTiles * kC);
typedef uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

constexpr auto kSource = winograd_plain(false).source;
constexpr auto kOutput = winograd_plain(false).output;

// Transformed patches: element e of channel c of a tile stands at e*plane + tile*step + c.
struct Values {
  float* at;
  int64_t plane, step;
};

// 16 channels: a vector holds channels of one pixel.
void transform_channels(const NarrowTiles& t, const float* image, int tiles, const Values& v) {
  float* values = v.at;
  for (int tile = 0; tile < tiles; ++tile, image += 4 * kC, values += v.step)
    for (int c = 0; c < kC; c += kLanes) {
      vf half[6][6];  // row of the transform, column of the patch
      for (int j = 0; j < 6; ++j) {
        vf in[6];
        for (int i = 0; i < 6; ++i) in[i] = load(image + i * t.row + j * kC + c);
        multiply<kSource>(in, &half[0][j], 6);
      }
      for (int i = 0; i < 6; ++i) {
        vf out[6];
        multiply<kSource>(half[i], out, 1);
        for (int j = 0; j < 6; ++j) store(values + (i * 6 + j) * v.plane + c, out[j]);
      }
    }
}

// Few channels: a vector holds neighbouring floats of a row, whatever pixels they belong to. The
// columns are transformed as if a tile began at every pixel; three of four results are never read,
// which costs less than shuffling the fourth into vectors of its own.
void transform_rows(const NarrowTiles& t, const float* image, int tiles, const Values& v) {
  float half[6][kFewRow + kLanes] __attribute__((aligned(64)));
  const int firsts = (4 * (tiles - 1) + 1) * t.in_channels, floats = firsts + 5 * t.in_channels;
  for (int p = 0; p < floats; p += kLanes) {
    vf in[6], out[6];
    for (int i = 0; i < 6; ++i) in[i] = load(image + i * t.row + p);
    multiply<kSource>(in, out, 1);
    for (int i = 0; i < 6; ++i) store(half[i] + p, out[i]);
  }
  for (int i = 0; i < 6; ++i)
    for (int p = 0; p < firsts; p += kLanes) {
      vf in[6], out[6];
      for (int j = 0; j < 6; ++j) in[j] = load(half[i] + p + j * t.in_channels);
      multiply<kSource>(in, out, 1);
      for (int j = 0; j < 6; ++j) store(v.at + (i * 6 + j) * v.plane + p, out[j]);
    }
}

// Products of a row of elements, transformed along it: kTiles tiles -> sums (6 rows,kTiles,4,16).
// Twelve tiles share a vector of filters.
template <int kTiles>
void multiply_rows(const Values& values, const float* filters, float* sums) {
  for (int i = 0; i < 6; ++i)
    for (int k = 0; k < kC; k += kLanes) {
      float products[6][kTiles][kLanes] __attribute__((aligned(64)));
      for (int j = 0; j < 6; ++j) {
        const float* from = values.at + (i * 6 + j) * values.plane;
        const float* filter = filters + (i * 6 + j) * kC * kC + k;
        vf sum[kTiles] = {};
        for (int c = 0; c < kC; ++c) {
          const vf w = load(filter + c * kC);
          for (int n = 0; n < kTiles; ++n) sum[n] += from[n * kC + c] * w;
        }
        for (int n = 0; n < kTiles; ++n) store(products[j][n], sum[n]);
      }
      for (int n = 0; n < kTiles; ++n) {
        vf m[6], z[4];
        for (int j = 0; j < 6; ++j) m[j] = load(products[j][n]);
        multiply<kOutput>(m, z, 1);
        float* to = sums + (i * kTiles + n) * 4 * kC + k;
        for (int j = 0; j < 4; ++j) store(to + j * kC, z[j]);
      }
    }
}

template <int... kTiles>
ASSAY_INLINE void multiply_tiles(std::integer_sequence<int, kTiles...>, int count,
                                 const Values& values, const float* filters, float* sums) {
  ((count == kTiles + 1 ? multiply_rows<kTiles + 1>(values, filters, sums) : void()), ...);
}

// multiply_rows for few channels: the filters of a row of elements stay in registers, and so do the
// products of a tile until they are transformed.
template <int kInChannels>
void multiply_few(const Values& values, const float* filters, int tiles, float* sums) {
  for (int i = 0; i < 6; ++i)
    for (int k = 0; k < kC; k += kLanes) {
      vf w[6][kInChannels];
      for (int j = 0; j < 6; ++j)
        for (int c = 0; c < kInChannels; ++c)
          w[j][c] = load(filters + ((i * 6 + j) * kInChannels + c) * kC + k);
      const float* from = values.at + i * 6 * values.plane;
      for (int n = 0; n < tiles; ++n, from += 4 * kInChannels) {
        vf m[6], z[4];
        for (int j = 0; j < 6; ++j) {
          m[j] = from[j * kFewPlane] * w[j][0];
          for (int c = 1; c < kInChannels; ++c) m[j] += from[j * kFewPlane + c] * w[j][c];
        }
        multiply<kOutput>(m, z, 1);
        float* to = sums + (i * tiles + n) * 4 * kC + k;
        for (int j = 0; j < 4; ++j) store(to + j * kC, z[j]);
      }
    }
}

void multiply_any(int in_channels, int tiles, const Values& values, const float* filters,
                  float* sums) {
  constexpr std::make_integer_sequence<int, kNarrowTiles> kWide;
  if (in_channels == kC) return multiply_tiles(kWide, tiles, values, filters, sums);
  if (in_channels == 3) return multiply_few<3>(values, filters, tiles, sums);
  if (in_channels == 2) return multiply_few<2>(values, filters, tiles, sums);
  multiply_few<1>(values, filters, tiles, sums);
}

// Stores the maximum of kPool x kPool pixels and the position of its first occurrence.
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
  const int64_t at = (int64_t{row} * t.width + column) * t.out_channels + k;
  store(t.out + at, best);
  if (kPool > 1 && t.argmax != nullptr)
    *reinterpret_cast<Bytes*>(t.argmax + at) = __builtin_convertvector(position, Bytes);
}

// Transforms the sums of the output channels [k0, k0 + 16), adds the bias, pools and stores.
template <int kPool>
void finish(const NarrowTiles& t, int first_tile, int tiles, int k0, const float* sums) {
  for (int n = 0; n < tiles; ++n)
    for (int k = 0; k < kC; k += kLanes) {
      vf z[4][4];
      const vf bias = t.bias != nullptr ? load(t.bias + k0 + k) : vf{};
      for (int j = 0; j < 4; ++j) {
        vf m[6], column[4];
        for (int i = 0; i < 6; ++i) m[i] = load(sums + ((i * tiles + n) * 4 + j) * kC + k);
        multiply<kOutput>(m, column, 1);
        for (int i = 0; i < 4; ++i) z[i][j] = column[i] + bias;
      }
      constexpr int kWindows = 4 / kPool;
      for (int i = 0; i < kWindows; ++i)
        for (int j = 0; j < kWindows; ++j)
          store_window<kPool>(t, z, i * kPool, j * kPool, t.first_row + i,
                              (first_tile + n) * kWindows + j, k0 + k);
    }
}

}  // namespace

void winograd_narrow_tiles(const NarrowTiles& t) {
  const bool few = t.in_channels != kC;
  const int most = few ? kFewTiles : kNarrowTiles;
  const int groups = (t.tiles + most - 1) / most;
  float* sums = t.scratch + int64_t{36} * kNarrowTiles * kC;
  for (int g = 0; g < groups; ++g) {
    const int first = t.tiles * g / groups, tiles = t.tiles * (g + 1) / groups - first;
    const float* image = t.image + int64_t{first} * 4 * t.in_channels;
    const Values values{t.scratch, few ? kFewPlane : tiles * kC, few ? 4 * t.in_channels : kC};
    if (few)
      transform_rows(t, image, tiles, values);
    else
      transform_channels(t, image, tiles, values);
    for (int k = 0; k < t.out_channels; k += kC) {
      multiply_any(t.in_channels, tiles, values, t.filters + int64_t{36} * t.in_channels * k, sums);
      if (t.pool == 1)
        finish<1>(t, first, tiles, k, sums);
      else if (t.pool == 2)
        finish<2>(t, first, tiles, k, sums);
      else
        finish<4>(t, first, tiles, k, sums);
    }
  }
}

}  // namespace assay::cpu::ASSAY_ISA
