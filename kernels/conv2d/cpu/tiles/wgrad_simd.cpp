// wgrad by tiles: transposing dz, pairing x, products.
#include "kernels/conv2d/cpu/tiles/wgrad_simd.h"

#include "kernels/conv2d/cpu/tiles/source_simd.h"
#include "kernels/runtime/tile_instructions.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

using tiles::GradientColumn;
using tiles::GradientProducts;
using tiles::PixelBlock;
using tiles::Reduction;
using tiles::StagedGradient;
using tiles::StagedPixels;

/// A position of a row: images side by side, pair by pair (or window by window).
struct Position {
  int image = 0, pair = 0;
  ASSAY_INLINE void next(int images) {
    if (++image == images) {
      image = 0;
      ++pair;
    }
  }
};

// ---- dz ----

/// Where the tile of the filters from `filter` on stands.
ASSAY_INLINE char* tile_of(const PixelBlock& b, const StagedGradient& staged, int product,
                           int filter, int i, int step) {
  return staged.at + product * staged.product_bytes + filter / 16 * staged.filter_bytes +
         (int64_t{i} * b.steps + step) * tile::kBytes;
}

/// Transposes a row of pixels: values(image, column, k0) are the filters k0 to k0 + 15 of one.
template <class Values>
ASSAY_INLINE void transpose_row(const PixelBlock& b, const StagedGradient& staged, int i,
                                int product, int filters, const Values& values) {
  Position first;
  for (int step = 0; step < b.steps; ++step) {
    Position at;
    for (int k0 = 0; k0 < filters; k0 += 16) {
      at = first;
      vu v[16];
      for (vu& two : v) {
        two = vu{};
        if (at.pair < b.pairs)
          two = pairs(values(at.image, 2 * at.pair, k0), values(at.image, 2 * at.pair + 1, k0));
        at.next(b.images);
      }
      transpose(v);
      char* to = tile_of(b, staged, product, k0, i, step);
      for (int k = 0; k < 16; ++k) store_as(to + k * tile::kRowBytes, v[k]);
    }
    first = at;
  }
}

/// The rows of dz under row i of all phases: [phase row][image], each with a zero column where it
/// ends in half a pair.
void gradient_rows(const Source& dz, const PixelBlock& b, const StagedGradient& staged, int i,
                   const bf16** rows) {
  const int columns = 2 * b.pairs * staged.upsample;
  const int64_t line = int64_t{columns} * dz.channels;
  for (int a = 0; a < staged.upsample; ++a)
    for (int image = 0; image < b.images; ++image) {
      const int n = a * b.images + image;
      bf16* const own = staged.room + n * line;
      const bf16* row = nullptr;
      if (image < b.real_images)
        row = source_row(dz, b.n0 + image, (b.i0 + i) * staged.upsample + a, own);
      if (row == nullptr) {
        copy_columns(dz, nullptr, 0, columns, own);
      } else if (row == own) {
        const int64_t size = int64_t{dz.columns} * dz.channels;
        __builtin_memset(own + size, 0, 2 * static_cast<size_t>(line - size));
      } else if (columns > dz.columns) {
        copy_columns(dz, row, 0, columns, own);
      } else {
        rows[n] = row;
        continue;
      }
      rows[n] = own;
    }
}

void stage_plain_gradient(const Source& dz, const PixelBlock& b, const StagedGradient& staged) {
  const int u = staged.upsample, K = dz.channels;
  const bf16* rows[4 * tiles::kMaxImages];
  for (int i = 0; i < b.i1 - b.i0; ++i) {
    gradient_rows(dz, b, staged, i, rows);
    if (staged.merged) {
      transpose_row(b, staged, i, 0, 1, [&](int image, int column, int) {
        bf16 all[16];
        __builtin_memset(all, 0, sizeof all);
        for (int a = 0; a < u; ++a)
          __builtin_memcpy(all + a * u * K, rows[a * b.images + image] + int64_t{column} * u * K,
                           static_cast<size_t>(2 * u * K));
        return load_as<Half>(all);
      });
      continue;
    }
    for (int phase = 0; phase < u * u; ++phase) {
      const bf16* const* of_phase = rows + phase / u * b.images;
      const int64_t first = phase % u * K;
      const auto at = [&](int image, int column, int k0) {
        return of_phase[image] + int64_t{column} * u * K + first + k0;
      };
      if (K % 16 == 0)  // without a question in the innermost loop
        transpose_row(b, staged, i, phase, K, [&](int image, int column, int k0) {
          return load_as<Half>(at(image, column, k0));
        });
      else
        transpose_row(b, staged, i, phase, K, [&](int image, int column, int k0) {
          return load_first_half(at(image, column, k0), K - k0);
        });
    }
  }
}

/// A pooled layer's values of 16 windows and 16 filters and the positions of their maxima, side by
/// side in pairs, transposed: register k has filter k.
template <Activation kActivation>
ASSAY_INLINE void transpose_windows(const Source& dz, const PixelBlock& b, int i, int k0,
                                    Position& at, vu* v) {
  const int rows = dz.rows / dz.pool, columns = dz.columns / dz.pool, K = dz.channels;
  for (int m = 0; m < 16; ++m) {
    v[m] = vu{};
    if (at.pair < columns && at.image < b.real_images && i < rows) {
      const int64_t from = ((int64_t{b.n0 + at.image} * rows + i) * columns + at.pair) * K + k0;
      const int count = min(16, K - k0);
      v[m] = pairs(gradient_at<kActivation>(dz, from, count), positions_at(dz, from, count));
    }
    at.next(b.images);
  }
  transpose(v);
}

/// The 32 columns of row a under 16 windows of a filter; of windows of 4, under the eight that make
/// step `half` of two. Each window's value stands at its maximum.
template <int kPool>
ASSAY_INLINE Words unfold_windows(vu windows, int a, int half) {
  vu column{};  // of the window's two pairs: the first's columns are 0 and 1, the second's 2 and 3
  if constexpr (kPool == 4) {
    windows = half == 0 ? __builtin_shufflevector(windows, windows, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5,
                                                  5, 6, 6, 7, 7)
                        : __builtin_shufflevector(windows, windows, 8, 8, 9, 9, 10, 10, 11, 11, 12,
                                                  12, 13, 13, 14, 14, 15, 15);
    column = vu{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1} * 0x20002u;
  }
  const Words value = (Words)((windows & 0xffffu) | windows << 16);
  const Words position = (Words)((windows >> 16) | (windows & 0xffff0000u));
  const Words own = (Words)(column + (0x10000u + static_cast<uint32_t>(a * kPool) * 0x10001u));
  return value & (Words)(position == own);
}

/// Windows are transposed before they are unfolded: a quarter of the work, or a 16th. A window of 2
/// is a pair of columns, one of 4 is two; then images do not stand side by side.
template <int kPool, Activation kActivation>
void stage_pooled_gradient(const Source& dz, const PixelBlock& b, const StagedGradient& staged) {
  constexpr int kPairs = kPool / 2;
  for (int window_row = b.i0 / kPool; window_row * kPool < b.i1; ++window_row) {
    Position first;
    for (int step = 0; step < b.steps; step += kPairs) {
      Position at;
      for (int k0 = 0; k0 < dz.channels; k0 += 16) {
        at = first;
        vu v[16];
        transpose_windows<kActivation>(dz, b, window_row, k0, at, v);
        for (int a = 0; a < kPool; ++a) {
          const int i = window_row * kPool + a - b.i0;
          if (i >= b.i1 - b.i0) break;
          for (int half = 0; half < kPairs && step + half < b.steps; ++half) {
            char* to = tile_of(b, staged, 0, k0, i, step + half);
            for (int k = 0; k < 16; ++k)
              store_as(to + k * tile::kRowBytes, unfold_windows<kPool>(v[k], a, half));
          }
        }
      }
      first = at;
    }
  }
}

// ---- x ----

/// Pairs of columns of a row (null: zeros), 16 channels from `channel` on. The first pair begins at
/// column `left`; a pair's columns are `step` apart, pairs 2 `step`. Outside the image are zeros.
ASSAY_INLINE void stage_pairs(const Source& x, const bf16* row, int channel, int left, int step,
                              int count, int64_t pair, char* to) {
  const int64_t next = int64_t{step} * x.channels;
  const int values = x.channels - channel;
  // Pairs [first, last) are in the image as a whole.
  const int first = row == nullptr ? count : clamp((2 * step - 1 - left) / (2 * step), 0, count);
  const int end = (x.columns - left - step + 2 * step - 1) / (2 * step);
  const int last = clamp(end, first, count);
  const auto pixel = [&](int column) {
    if (row == nullptr || column < 0 || column >= x.columns) return Half{};
    return load_first_half(row + int64_t{column} * x.channels + channel, values);
  };
  const auto stage_checked = [&](int begin, int stop) {
    for (int j = begin; j < stop; ++j, to += pair)
      store_as(to, pairs(pixel(left + 2 * j * step), pixel(left + (2 * j + 1) * step)));
  };
  stage_checked(0, first);
  if (first < last) {
    const bf16* from = row + int64_t{left + 2 * first * step} * x.channels + channel;
    for (int j = first; j < last; ++j, to += pair, from += 2 * next)
      store_as(to, pairs(load_first_half(from, values), load_first_half(from + next, values)));
  }
  stage_checked(last, count);
}

/// Reduction::channels.
void stage_channels(const Source& x, const PixelBlock& b, const StagedPixels& staged) {
  const int step = staged.step;
  const int source_rows = (b.i1 - b.i0 - 1) * step + staged.window_rows;
  for (int image = 0; image < b.images; ++image)
    for (int i = 0; i < source_rows; ++i) {
      const bf16* row = image < b.real_images
                            ? source_row(x, b.n0 + image, staged.first_row + i, nullptr)
                            : nullptr;
      char* const at = staged.at + i * staged.row + image * tile::kRowBytes;
      for (int group = staged.group0; group < staged.group1; ++group)
        for (int e = 0; e < step; ++e)
          for (int shift = 0; shift < staged.shifts; ++shift)
            stage_pairs(x, row, group * 16, staged.first_column + shift * step + e, step,
                        staged.positions, staged.pair,
                        at + (group - staged.group0) * staged.group + e * staged.remainder +
                            shift * staged.shift);
    }
}

/// The windows of pairs of output pixels in a line, 16 values of each; behind `columns` a zero.
ASSAY_INLINE void stage_window_pairs(const bf16* line, int64_t next, int columns, int64_t pair,
                                     char* to) {
  for (int column = 0; column < columns; column += 2, to += pair, line += 2 * next)
    store_as(
        to, pairs(load_as<Half>(line), column + 1 < columns ? load_as<Half>(line + next) : Half{}));
}

/// Reduction::window: the window of an output pixel takes the place of a pixel's channels.
void stage_windows(const Source& x, const PixelBlock& b, const StagedPixels& staged) {
  const int step = staged.step, columns = (b.columns - 1) * step + staged.window_columns;
  const int source_rows = (b.i1 - b.i0 - 1) * step + staged.window_rows;
  const int64_t source_line = int64_t{columns} * x.channels;
  const WindowLines lines(staged.window_rows, x.channels);
  bf16* const line = staged.room + source_rows * source_line + tile::kDepth;
  for (int image = 0; image < b.images; ++image) {
    copy_rows(x, image < b.real_images ? b.n0 + image : -1, staged.first_row, source_rows,
              staged.first_column, columns, staged.room, nullptr);
    for (int i = 0; i < b.i1 - b.i0; ++i) {
      const bf16* window[tiles::kMaxWindowRows];
      for (int r = 0; r < staged.window_rows; ++r)
        window[r] = staged.room + (i * step + r) * source_line;
      lines.interleave(window, columns, line);
      for (int group = staged.group0; group < staged.group1; ++group)
        stage_window_pairs(line + group * 16, int64_t{step} * staged.window_rows * x.channels,
                           b.columns, staged.pair,
                           staged.at + (group - staged.group0) * staged.group + i * staged.row +
                               image * tile::kRowBytes);
    }
  }
}

/// What a tile reads behind the images meets zeros of dz and must be finite.
void zero_ends_of_rows(const StagedPixels& staged) {
  const int64_t used = staged.positions * staged.pair;
  if (used == staged.row) return;
  for (int group = 0; group < staged.group1 - staged.group0; ++group)
    for (int64_t at = used; at < staged.group; at += staged.row)
      __builtin_memset(staged.at + group * staged.group + at, 0,
                       static_cast<size_t>(staged.row - used));
}

// ---- Products ----

/// A tile of sums, and the bytes between its rows.
struct Sums {
  float* at;
  int64_t row;
};

/// The operands of four tiles of sums: kFilterTiles tiles of filters x 4 / kFilterTiles columns.
template <int kFilterTiles>
struct FourSums {
  static constexpr int kColumns = 4 / kFilterTiles;
  const char* dz[kFilterTiles];
  const char* x[kColumns];
  int64_t x_row[kColumns], x_step[kColumns];  // bytes between rows of pixels, between steps
  Sums sums[4];
};

template <int kFilterTiles>
ASSAY_INLINE void product(const GradientProducts& job, const FourSums<kFilterTiles>& o) {
  constexpr int64_t kRow = tile::kRowBytes;
  const Sums* sums = o.sums;
  if (job.first) {
    tile::zero<0>();
    tile::zero<1>();
    tile::zero<2>();
    tile::zero<3>();
  } else {
    tile::load<0>(sums[0].at, sums[0].row);
    tile::load<1>(sums[1].at, sums[1].row);
    tile::load<2>(sums[2].at, sums[2].row);
    tile::load<3>(sums[3].at, sums[3].row);
  }
  int prefetched = job.first ? 0 : tile::kRows;  // rows of sums that are written but were not read
  for (int i = 0; i < job.rows; ++i)
    for (int step = 0; step < job.steps; ++step, ++prefetched) {
      for (int t = 0; t < 4 && prefetched < tile::kRows; ++t)
        __builtin_prefetch(reinterpret_cast<char*>(sums[t].at) + prefetched * sums[t].row, 1, 2);
      const int64_t at = (int64_t{i} * job.steps + step) * tile::kBytes;
      const auto x = [&](int n) { return o.x[n] + i * o.x_row[n] + step * o.x_step[n]; };
      tile::load<4>(o.dz[0] + at, kRow);
      tile::load<6>(x(0), kRow);
      tile::multiply<0, 4, 6>();
      tile::load<7>(x(1), kRow);
      tile::multiply<1, 4, 7>();
      if constexpr (kFilterTiles == 2) {
        tile::load<5>(o.dz[1] + at, kRow);
        tile::multiply<2, 5, 6>();
        tile::multiply<3, 5, 7>();
      } else {
        tile::load<6>(x(2), kRow);
        tile::multiply<2, 4, 6>();
        tile::load<7>(x(3), kRow);
        tile::multiply<3, 4, 7>();
      }
    }
  tile::store<0>(sums[0].at, sums[0].row);
  tile::store<1>(sums[1].at, sums[1].row);
  tile::store<2>(sums[2].at, sums[2].row);
  tile::store<3>(sums[3].at, sums[3].row);
}

template <int kFilterTiles>
void multiply_columns(const GradientProducts& job) {
  using Four = FourSums<kFilterTiles>;
  alignas(64) float dropped[tile::kRows * tile::kColumns] = {};
  alignas(64) uint16_t ones[tile::kValues];
  for (uint16_t& one : ones) one = 0x3f80;
  tile::configure();
  for (int f = 0; f < job.filter_tiles; f += kFilterTiles)
    for (int j = 0; j < job.column_count; j += Four::kColumns) {
      Four o;
      for (int m = 0; m < kFilterTiles; ++m)
        o.dz[m] = job.dz + min(f + m, job.filter_tiles - 1) * job.filter_bytes;
      for (int q = 0; q < Four::kColumns; ++q) {
        const GradientColumn& column = job.columns[min(j + q, job.column_count - 1)];
        const bool is_bias = column.at < 0;
        o.x[q] = is_bias ? reinterpret_cast<const char*>(ones) : job.x + column.at;
        o.x_row[q] = is_bias ? 0 : column.row;  // every step of the bias reads the same ones
        o.x_step[q] = is_bias ? 0 : tile::kBytes;
        for (int m = 0; m < kFilterTiles; ++m) {
          Sums& sums = o.sums[m * Four::kColumns + q];
          if (j + q >= job.column_count || f + m >= job.filter_tiles)
            sums = {dropped, tile::kRowBytes};
          else if (is_bias)
            sums = {job.bias_sums + int64_t{f + m} * tile::kRows * tile::kColumns, tile::kRowBytes};
          else
            sums = {job.sums + int64_t{f + m} * tile::kRows * job.filter_floats + column.to,
                    job.filter_floats * static_cast<int64_t>(sizeof(float))};
        }
      }
      product<kFilterTiles>(job, o);
    }
  tile::release();
}

}  // namespace

void stage_gradient(const Source& dz, const PixelBlock& b, const StagedGradient& staged) {
  const bool pooled = dz.pool == 2 || (dz.pool == 4 && b.images == 1);
  if (!pooled) return stage_plain_gradient(dz, b, staged);
  with_activation(dz.activation, [&](auto kind) {
    constexpr Activation kActivation = decltype(kind)::value;
    if (dz.pool == 2)
      stage_pooled_gradient<2, kActivation>(dz, b, staged);
    else
      stage_pooled_gradient<4, kActivation>(dz, b, staged);
  });
}

void stage_pixels(const Source& x, const PixelBlock& b, const StagedPixels& staged) {
  if (staged.reduction == Reduction::window)
    stage_windows(x, b, staged);
  else
    stage_channels(x, b, staged);
  zero_ends_of_rows(staged);
}

void multiply_gradient(const GradientProducts& job) {
  if (job.filter_tiles == 1)
    multiply_columns<1>(job);
  else
    multiply_columns<2>(job);
}

}  // namespace assay::cpu::ASSAY_ISA
