// fprop and dgrad by tiles: staging, products, and what happens to the sums.
//
// Two rows of output are multiplied together: 16 pixels x 32 output channels each, or 32 x 16 where
// there are few. Their four tiles of sums go through 4 KB of the first-level cache to bias,
// max-pool, activation and rounding.
#include "kernels/conv2d/cpu/tiles/pass_simd.h"

#include "kernels/conv2d/cpu/tiles/source_simd.h"
#include "kernels/runtime/tile_instructions.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

using tiles::BlockProducts;
using tiles::Reduction;
using tiles::StagedBlock;

// ---- Staging ----

/// `count` pixels of `values` <= 32 channels, `next` values apart, or zeros if `from` is null.
/// Returns the end of what it wrote.
ASSAY_INLINE char* stage_pixels(const bf16* from, int64_t next, int count, int values,
                                int64_t column, char* to) {
  if (from == nullptr) {
    for (int j = 0; j < count; ++j, to += column) store_as(to, Words{});
  } else if (values == tile::kDepth) {
    for (int j = 0; j < count; ++j, to += column, from += next) store_as(to, load_as<Words>(from));
  } else {
    for (int j = 0; j < count; ++j, to += column, from += next)
      store_as(to, load_first_words(from, values));
  }
  return to;
}

/// Reduction::channels: a source row (null: zeros), its columns sorted by their remainder.
void stage_row(const StagedBlock& b, const Source& source, const bf16* row, char* out) {
  const int C = source.channels, step = b.step;
  for (int slice = 0; slice < b.slices; ++slice)
    for (int e = 0; e < step; ++e) {
      const int values = min(tile::kDepth, C - slice * tile::kDepth);
      // Columns [first, last) of this remainder are in the image.
      const int first = clamp((-b.first_column - e + step - 1) / step, 0, b.columns);
      const int end = (source.columns - b.first_column - e + step - 1) / step;
      const int last = row == nullptr ? first : clamp(end, first, b.columns);
      char* to = out + slice * b.slice + e * b.remainder;
      to = stage_pixels(nullptr, 0, first, values, b.column, to);
      if (last > first)
        to = stage_pixels(
            row + int64_t{first * step + e + b.first_column} * C + slice * tile::kDepth,
            int64_t{step} * C, last - first, values, b.column, to);
      stage_pixels(nullptr, 0, b.columns - last, values, b.column, to);
    }
}

/// Reduction::window: a line of windows for each row of the output.
void stage_windows(const StagedBlock& b, const Source& source) {
  const WindowLines lines(b.window_rows, source.channels);
  const int source_rows = (b.rows - 1) * b.step + b.window_rows;
  const int64_t line = int64_t{b.columns} * source.channels;
  copy_rows(source, b.n0, b.first_row, source_rows, b.first_column, b.columns, b.room,
            b.room + source_rows * line + tile::kDepth);
  for (int i = 0; i < b.rows; ++i) {
    const bf16* window[tiles::kMaxWindowRows];
    for (int r = 0; r < b.window_rows; ++r) window[r] = b.room + (i * b.step + r) * line;
    lines.interleave(window, b.columns, reinterpret_cast<bf16*>(b.at + i * b.row));
  }
}

// ---- What happens to the sums ----

/// Takes the sums of four tiles (two rows; 4 rows of a pool of 4: eight tiles) a unit at a time: a
/// pixel of each row, or a pooling window. The units run between the products of the next tiles,
/// which need neither the vector units nor their results.
template <int kWidthTiles, int kPool, Activation kActivation>
class Epilogue {
 public:
  static constexpr int kWidth = kWidthTiles * tile::kColumns;
  /// Pixels of a row of sums.
  static constexpr int kAcross = kWidthTiles == 2 ? 16 : 32;

  /// Of the output channels from `first` on.
  Epilogue(const BlockProducts& b, int first)
      : b_(b), first_(first), channels_(b.out_channels - first), slope_(broadcast(b.slope)) {
    for (int t = 0; t < kWidthTiles; ++t)
      bias_[t] = b.bias != nullptr ? load(b.bias + first + t * tile::kColumns) : vf{};
  }

  /// `rows` rows and `pixels` pixels of sums, from row i and pixel m of the block on.
  void start(const float* sums, int i, int rows, int m, int pixels) {
    sums_ = sums;
    rows_ = rows;
    left_ = pixels / kPool;
    image_ = kPool == 1 ? m % b_.images : 0;
    at_ = first_ + i / kPool * b_.out_row + m / kPool / b_.images * b_.out_pixel +
          image_ * b_.out_image;
  }
  int left() const { return left_; }
  ASSAY_INLINE void run(int units) {
    for (; units > 0 && left_ > 0; --units, --left_) {
      if constexpr (kPool == 1)
        pixel();
      else
        window();
    }
  }

 private:
  ASSAY_INLINE void pixel() {
    for (int r = 0; r < rows_; ++r) {
      vf v[kWidthTiles];
      for (int t = 0; t < kWidthTiles; ++t)
        v[t] = activate<kActivation>(
            slope_, load(sums_ + r * kAcross * kWidth + t * tile::kColumns) + bias_[t]);
      put(b_.out + at_ + r * b_.out_row, v);
    }
    sums_ += kWidth;
    at_ += b_.out_image;
    if (++image_ == b_.images) {
      image_ = 0;
      at_ += b_.out_pixel - b_.images * b_.out_image;
    }
  }

  ASSAY_INLINE void window() {
    vf v[kWidthTiles];
    for (int t = 0; t < kWidthTiles; ++t) {
      const float* z = sums_ + t * tile::kColumns;
      vf best = load(z);
      vi position{};
      for (int i = 1; i < kPool * kPool; ++i) {
        const vf next = load(z + (i / kPool * kAcross + i % kPool) * kWidth);
        position = next > best ? vi{} + i : position;
        best = next > best ? next : best;
      }
      v[t] = activate<kActivation>(slope_, best + bias_[t]);
      if (b_.argmax != nullptr) put_positions(t, position);
    }
    put(b_.out + at_, v);
    sums_ += kPool * kWidth;
    at_ += b_.out_pixel;
  }

  ASSAY_INLINE void put_positions(int t, vi position) const {
    const Bytes bytes = narrow_to_bytes(position);
    uint8_t* to = b_.argmax + at_ + t * tile::kColumns;
    store_first_bytes(to, bytes, clamp(channels_ - t * tile::kColumns, 0, tile::kColumns));
  }

  ASSAY_INLINE void put(bf16* to, const vf* v) const {
    if constexpr (kWidthTiles == 1) {
      const Half values = round_to_bf16(v[0]);
      if (b_.merged_rows > 0) return put_phases(to, values);
      store_first_half(to, values, channels_);
    } else {
      const Words values = round_to_bf16(v[0], v[1]);
      if (channels_ < kWidth) return store_first_words(to, values, channels_);
      if (b_.streamed)
        stream(to, values);
      else
        store_as(to, values);
    }
  }
  /// Merged phases: the channels of a phase row are neighbours in the output.
  ASSAY_INLINE void put_phases(bf16* to, Half values) const {
    const int of_row = b_.out_channels / b_.merged_rows;
    const int64_t next = b_.out_row / b_.merged_rows;
    uint16_t all[2 * tile::kColumns];  // with room to read 16 values from any of them on
    store_as(all, values);
    for (int a = 0; a < b_.merged_rows; ++a)
      store_first_half(to + a * next, load_as<Half>(all + a * of_row), of_row);
  }

  BlockProducts b_;  // a copy, whose fields can stay in registers beside instructions on memory
  int first_, channels_;  // the first output channel, and how many there are from it on
  vf slope_, bias_[kWidthTiles];
  const float* sums_ = nullptr;
  int rows_ = 0, left_ = 0, image_ = 0;
  int64_t at_ = 0;
};

// ---- Products ----

/// The operands of four tiles of sums: two rows of output pixels and a panel of filters.
struct Operands {
  const char *row0, *row1, *panel, *prefetched;
};

/// Adds all steps: two rows of 16 pixels x 32 output channels, or of 32 pixels x 16. Behind each
/// step runs a part of the work on the sums before.
template <int kWidthTiles, class Previous>
ASSAY_INLINE void product(const BlockProducts& b, Operands o, Previous& previous, int units,
                          float* sums0, float* sums1) {
  constexpr int64_t kRow = tile::kRowBytes;
  const int64_t pixel = b.pixel;
  tile::zero<0>();
  tile::zero<1>();
  tile::zero<2>();
  tile::zero<3>();
  for (int i = 0; i < b.steps; ++i, o.panel += kWidthTiles * tile::kBytes) {
    const int64_t at = b.offsets[i];
    tile::load<4>(o.row0 + at, pixel);
    tile::load<6>(o.panel, kRow);
    tile::multiply<0, 4, 6>();
    if constexpr (kWidthTiles == 2) {
      tile::load<7>(o.panel + tile::kBytes, kRow);
      tile::multiply<1, 4, 7>();
      tile::load<5>(o.row1 + at, pixel);
      tile::multiply<2, 5, 6>();
      tile::multiply<3, 5, 7>();
    } else {
      tile::load<5>(o.row0 + tile::kRows * pixel + at, pixel);
      tile::multiply<1, 5, 6>();
      tile::load<4>(o.row1 + at, pixel);
      tile::multiply<2, 4, 6>();
      tile::load<5>(o.row1 + tile::kRows * pixel + at, pixel);
      tile::multiply<3, 5, 6>();
    }
    for (int line = 0; line < b.prefetched_lines; ++line, o.prefetched += 64)
      __builtin_prefetch(o.prefetched, 0, 2);
    previous.run(units);
  }
  // The second tile is right of the first or below it.
  constexpr int kSecond = kWidthTiles == 2 ? tile::kColumns : tile::kRows * tile::kColumns;
  tile::store<0>(sums0, kWidthTiles * kRow);
  tile::store<1>(sums0 + kSecond, kWidthTiles * kRow);
  tile::store<2>(sums1, kWidthTiles * kRow);
  tile::store<3>(sums1 + kSecond, kWidthTiles * kRow);
}

/// All output pixels of the block with one panel. Its output channels begin at `first`.
template <int kWidthTiles, int kPool, Activation kActivation>
void multiply_panel(const BlockProducts& b, const char* panel, int first) {
  using End = Epilogue<kWidthTiles, kPool, kActivation>;
  constexpr int kRowsTogether = kPool > 2 ? kPool : 2;
  constexpr int kRowSums = End::kAcross * End::kWidth;
  alignas(64) float sums[2][kRowsTogether * kRowSums];
  const int products = max(1, b.steps * kRowsTogether / 2);
  const char* prefetched = panel + b.steps * kWidthTiles * tile::kBytes;
  End previous(b, first);
  int side = 0;
  for (int i = 0; i < b.rows; i += kRowsTogether)
    for (int m = 0; m < b.pixels; m += End::kAcross, side ^= 1) {
      const int units = (previous.left() + products - 1) / products;
      for (int r = 0; r < kRowsTogether; r += 2) {
        // A row below the last one is the last one again; its sums are dropped.
        const auto row = [&](int below) {
          return b.staged + min(i + below, b.rows - 1) * b.row + m * b.pixel;
        };
        float* to = sums[side] + r * kRowSums;
        product<kWidthTiles>(b, {row(r), row(r + 1), panel, prefetched}, previous, units, to,
                             to + kRowSums);
        prefetched += int64_t{b.prefetched_lines} * b.steps * 64;
      }
      previous.run(previous.left());
      previous.start(sums[side], i, min(kRowsTogether, b.rows - i), m,
                     min(End::kAcross, b.pixels - m));
    }
  previous.run(previous.left());
}

template <int kWidthTiles, int kPool, Activation kActivation>
void multiply_panels(const BlockProducts& b) {
  tile::configure();
  const char* panel = b.panels;
  for (int i = 0; i < b.panel_count; ++i, panel += b.steps * kWidthTiles * tile::kBytes)
    multiply_panel<kWidthTiles, kPool, kActivation>(b, panel, i * kWidthTiles * tile::kColumns);
  tile::release();
  fence_streams();
}

template <int kValue>
struct WidthConstant {
  static constexpr int value = kValue;
};

}  // namespace

void stage_block(const Source& source, const StagedBlock& b) {
  if (b.reduction == Reduction::window) return stage_windows(b, source);
  for (int image = 0; image < b.images; ++image)
    for (int i = 0; i < b.rows; ++i)
      stage_row(b, source, source_row(source, b.n0 + image, b.first_row + i, b.room),
                b.at + i * b.row + image * tile::kRowBytes);
}

void multiply_block(const BlockProducts& b) {
  with_activation(b.activation, [&](auto kind) {
    constexpr Activation kActivation = decltype(kind)::value;
    const auto with_width = [&](auto width) {
      constexpr int kWidthTiles = decltype(width)::value;
      if (b.pool == 1) multiply_panels<kWidthTiles, 1, kActivation>(b);
      if (b.pool == 2) multiply_panels<kWidthTiles, 2, kActivation>(b);
      if (b.pool == 4) multiply_panels<kWidthTiles, 4, kActivation>(b);
    };
    if (b.width_tiles == 1)
      with_width(WidthConstant<1>{});
    else
      with_width(WidthConstant<2>{});
  });
}

}  // namespace assay::cpu::ASSAY_ISA
