// Rows of a Source, and the windows of one with few channels.
#pragma once

#include "kernels/conv2d/cpu/tiles/source.h"
#include "kernels/pointwise/activation_simd.h"
#include "kernels/runtime/tile_vectors.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

using tiles::Source;

/// dy f'(y) of 16 values, rounded to bf16.
template <Activation kActivation>
ASSAY_INLINE Half gradient(vf slope, Half dy, Half y) {
  if constexpr (kActivation == Activation::none) return dy;
  if constexpr (kActivation == Activation::relu)  // positive numbers are integers below 0x8000
    return dy & (Half)((y > 0) & (y < 0x8000));
  return round_to_bf16(widen(dy) * activation_slope<kActivation>(slope, widen(y)));
}

/// `count` <= 16 values of dy f'(y).
template <Activation kActivation>
ASSAY_INLINE Half gradient_at(const Source& source, int64_t at, int count) {
  const Half dy = load_first_half(source.dy + at, count);
  if constexpr (kActivation == Activation::none) return dy;
  return gradient<kActivation>(broadcast(source.slope), dy, load_first_half(source.y + at, count));
}

/// Positions of the maxima of `count` <= 16 values.
ASSAY_INLINE Half positions_at(const Source& source, int64_t at, int count) {
  return widen_bytes(load_first_bytes(source.argmax + at, count));
}

/// A row of dz without a pool.
template <Activation kActivation>
ASSAY_INLINE void form_plain_row(const Source& source, int64_t at, bf16* out) {
  const int size = source.columns * source.channels;
  for (int i = 0; i < size; i += 16) {
    const int count = min(size - i, 16);
    store_first_half(out + i, gradient_at<kActivation>(source, at + i, count), count);
  }
}

/// Row `a` of the pooling windows whose values begin at `at`: each goes to its argmax.
template <Activation kActivation>
ASSAY_INLINE void form_pooled_row(const Source& source, int64_t at, int a, bf16* out) {
  const int pool = source.pool, C = source.channels, windows = source.columns / pool;
  for (int j = 0; j < windows; ++j, at += C, out += pool * C)
    for (int c = 0; c < C; c += 16) {
      const int count = min(C - c, 16);
      const Half d = gradient_at<kActivation>(source, at + c, count);
      const Half position = positions_at(source, at + c, count);
      for (int b = 0; b < pool; ++b)
        store_first_half(out + b * C + c,
                         d & (Half)(position == static_cast<uint16_t>(a * pool + b)), count);
    }
  const int rest = (source.columns - windows * pool) * C;  // in no whole window
  __builtin_memset(out, 0, static_cast<size_t>(2 * rest));
}

/// Row h of image n, or null where it is zero. A row of dz may be formed in `room`, which holds
/// one.
inline const bf16* source_row(const Source& source, int n, int h, bf16* room) {
  if (h < 0 || h >= source.rows) return nullptr;
  const int64_t row = int64_t{source.columns} * source.channels;
  if (source.x != nullptr) return source.x + (int64_t{n} * source.rows + h) * row;
  const int rows = source.rows / source.pool, columns = source.columns / source.pool;  // of dy
  if (h >= rows * source.pool) return nullptr;
  const int64_t at = (int64_t{n} * rows + h / source.pool) * columns * source.channels;
  if (source.pool == 1 && source.activation == Activation::none) return source.dy + at;
  with_activation(source.activation, [&](auto kind) {
    constexpr Activation kActivation = decltype(kind)::value;
    if (source.pool == 1)
      form_plain_row<kActivation>(source, at, room);
    else
      form_pooled_row<kActivation>(source, at, h % source.pool, room);
  });
  return room;
}

/// Columns [first, first + count) of a row (null: zeros), zero outside the image.
inline void copy_columns(const Source& source, const bf16* row, int first, int count, bf16* out) {
  const int C = source.channels;
  const int begin = clamp(-first, 0, count);
  const int end = row == nullptr ? begin : clamp(source.columns - first, begin, count);
  __builtin_memset(out, 0, 2 * static_cast<size_t>(int64_t{begin} * C));
  if (end > begin)
    __builtin_memcpy(out + int64_t{begin} * C, row + int64_t{first + begin} * C,
                     2 * static_cast<size_t>(int64_t{end - begin} * C));
  __builtin_memset(out + int64_t{end} * C, 0, 2 * static_cast<size_t>(int64_t{count - end} * C));
}

/// Columns [first, first + columns) of the rows [row, row + count) of image n (-1: zeros), one
/// behind the other, and then 32 zeros. `formed` holds a row of the source.
inline void copy_rows(const Source& source, int n, int row, int count, int first, int columns,
                      bf16* out, bf16* formed) {
  const int64_t line = int64_t{columns} * source.channels;
  for (int i = 0; i < count; ++i, out += line)
    copy_columns(source, n < 0 ? nullptr : source_row(source, n, row + i, formed), first, columns,
                 out);
  store_as(out, Words{});
}

/// Reduction::window: the rows of a window side by side in one line of (column, row, channel), in
/// which the window of every output pixel is one run.
class WindowLines {
 public:
  WindowLines(int window_rows, int channels) : rows_(window_rows), period_(window_rows * channels) {
    for (int r = 0; r < rows_; ++r) {
      // Bit i: value i of a line comes from row r. 64 + 32 of them are needed.
      uint64_t low = 0, high = 0;
      for (int first = r * channels; first < 96; first += period_)
        for (int i = first; i < min(first + channels, 128); ++i)
          (i < 64 ? low : high) |= uint64_t{1} << (i % 64);
      for (int phase = 0; phase < period_; ++phase)
        masks_[phase][r] =
            static_cast<uint32_t>(low >> phase | (phase > 0 ? high << (64 - phase) : uint64_t{0}));
    }
  }

  /// Writes `columns` columns and 32 to 63 zeros. 32 values can be read behind each row.
  void interleave(const bf16* const* rows, int columns, bf16* out) const {
    const int64_t size = int64_t{columns} * period_;
#if defined(__AVX512VBMI2__)
    const bf16* from[tiles::kMaxWindowRows];
    for (int r = 0; r < rows_; ++r) from[r] = rows[r];
    int64_t at = 0;
    for (int phase = 0; at < size; at += 32, phase = (phase + 32) % period_) {
      __m512i all = _mm512_setzero_si512();
      for (int r = 0; r < rows_; ++r) {
        const uint32_t mask = masks_[phase][r];
        all = _mm512_or_si512(all, _mm512_maskz_expand_epi16(mask, _mm512_loadu_si512(from[r])));
        from[r] += __builtin_popcount(mask);
      }
      _mm512_storeu_si512(out + at, all);
    }
    _mm512_storeu_si512(out + at, _mm512_setzero_si512());
#else
    const int channels = period_ / rows_;
    for (int column = 0; column < columns; ++column)
      for (int r = 0; r < rows_; ++r)
        __builtin_memcpy(out + (int64_t{column} * rows_ + r) * channels,
                         rows[r] + int64_t{column} * channels, static_cast<size_t>(2 * channels));
    __builtin_memset(out + size, 0, 2 * static_cast<size_t>((size + 31) / 32 * 32 + 32 - size));
#endif
  }

 private:
  static constexpr int kMaxPeriod = 64;
  int rows_, period_;  // of the window; values of a column of a line
  /// Which of 32 values of a line come from a row; `phase` is the first one's place in its column.
  uint32_t masks_[kMaxPeriod][tiles::kMaxWindowRows];
};

}  // namespace
}  // namespace assay::cpu::ASSAY_ISA
