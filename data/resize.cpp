#include "data/resize.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

// Pillow's arithmetic (src/libImaging/Resample.c): weights in fixed point with 22 bits behind the
// point, so that 8-bit values times weights that sum to 1 stay inside 32 bits; rows first, rounded
// to 8 bits, then columns.
constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

/// One dimension: output i is the sum of weight[i * taps + t] * input[first[i] + t], t < count[i].
struct Taps {
  int taps = 0;
  std::vector<int> first, count;
  std::vector<int32_t> weight;  // (out,taps)
  /// Weights 2i and 2i + 1 as pairs of 16 bits, (out,taps/2): their low 15 bits, and the rest.
  std::vector<int32_t> low_pair, high_pair;
};
constexpr int kLowBits = 15;

Taps triangle_taps(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double support = std::max(scale, 1.0);
  Taps result;
  result.taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  result.weight.resize(static_cast<size_t>(out) * result.taps);
  std::vector<double> w(result.taps);
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), in) - first;
    double sum = 0;
    for (int t = 0; t < count; ++t) {
      w[t] = std::max(1 - std::abs((t + first - center + 0.5) * (1.0 / support)), 0.0);
      sum += w[t];
    }
    for (int t = 0; t < count; ++t) {
      result.weight[static_cast<size_t>(i) * result.taps + t] =
          static_cast<int32_t>(0.5 + w[t] / sum * (1 << kPrecisionBits));
    }
    for (int t = 0; t + 2 <= result.taps; t += 2) {
      const int32_t* pair = &result.weight[static_cast<size_t>(i) * result.taps + t];
      constexpr int32_t kLowMask = (1 << kLowBits) - 1;
      result.low_pair.push_back((pair[0] & kLowMask) | (pair[1] & kLowMask) << 16);
      result.high_pair.push_back(pair[0] >> kLowBits | pair[1] >> kLowBits << 16);
    }
    result.first.push_back(first);
    result.count.push_back(count);
  }
  return result;
}

uint8_t round_to_8_bits(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

#if defined(__SSE2__)
// Sums the three channels of output x, two taps at a time, by pmaddwd, which multiplies pairs of 16
// bits. The low 15 bits of the weights and the rest are summed separately and joined at the end;
// the result is below 2^31, so wrap-around in between does no harm. Reads at most `readable`
// pixels; returns the number of taps that were summed.
int sum_pairs_of_taps(const uint8_t* p, const Taps& taps, int x, int readable, int32_t* sum) {
  const int32_t* low_pair = &taps.low_pair[static_cast<size_t>(x) * (taps.taps / 2)];
  const int32_t* high_pair = &taps.high_pair[static_cast<size_t>(x) * (taps.taps / 2)];
  const __m128i zero = _mm_setzero_si128();
  __m128i low = zero, high = zero;
  int t = 0;
  for (; t + 2 <= taps.count[x] && t + 3 <= readable; t += 2, p += 6) {
    int32_t first, second;  // 3 bytes of a pixel, and one of the next pixel, which is ignored
    std::memcpy(&first, p, 4);
    std::memcpy(&second, p + 3, 4);
    const __m128i pairs = _mm_unpacklo_epi8(
        _mm_unpacklo_epi8(_mm_cvtsi32_si128(first), _mm_cvtsi32_si128(second)), zero);
    low = _mm_add_epi32(low, _mm_madd_epi16(pairs, _mm_set1_epi32(low_pair[t / 2])));
    high = _mm_add_epi32(high, _mm_madd_epi16(pairs, _mm_set1_epi32(high_pair[t / 2])));
  }
  alignas(16) int32_t total[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(total),
                  _mm_add_epi32(low, _mm_slli_epi32(high, kLowBits)));
  for (int c = 0; c < 3; ++c) sum[c] += total[c];
  return t;
}
#endif

template <int C>
void resize_row(const uint8_t* in, [[maybe_unused]] int in_width, const Taps& taps, int out_width,
                uint8_t* out) {
  for (int x = 0; x < out_width; ++x) {
    const uint8_t* p = in + static_cast<size_t>(taps.first[x]) * C;
    const int32_t* w = &taps.weight[static_cast<size_t>(x) * taps.taps];
    int32_t sum[C];
    for (int c = 0; c < C; ++c) sum[c] = kHalf;
    int t = 0;
#if defined(__SSE2__)
    if constexpr (C == 3) t = sum_pairs_of_taps(p, taps, x, in_width - taps.first[x], sum);
#endif
    for (; t < taps.count[x]; ++t) {
      for (int c = 0; c < C; ++c) sum[c] += p[t * C + c] * w[t];
    }
    for (int c = 0; c < C; ++c) out[x * C + c] = round_to_8_bits(sum[c]);
  }
}

Image resize_rows(const Image& in, int width) {
  const Taps taps = triangle_taps(in.width, width);
  Image out(in.height, width, in.channels);
  const auto row = in.channels == 1 ? resize_row<1> : resize_row<3>;
  for (int y = 0; y < in.height; ++y) row(in.at(y, 0), in.width, taps, width, out.at(y, 0));
  return out;
}

Image resize_columns(const Image& in, int height) {
  const Taps taps = triangle_taps(in.height, height);
  Image out(height, in.width, in.channels);
  const int n = in.width * in.channels;
  std::vector<int32_t> sum(n);
  for (int y = 0; y < height; ++y) {
    std::fill(sum.begin(), sum.end(), kHalf);
    for (int t = 0; t < taps.count[y]; ++t) {
      const uint8_t* p = in.at(taps.first[y] + t, 0);
      const int32_t w = taps.weight[static_cast<size_t>(y) * taps.taps + t];
      for (int i = 0; i < n; ++i) sum[i] += p[i] * w;
    }
    uint8_t* row = out.at(y, 0);
    for (int i = 0; i < n; ++i) row[i] = round_to_8_bits(sum[i]);
  }
  return out;
}

}  // namespace

Image resize(const Image& image, int height, int width) {
  ASSAY_CHECK(image.size() > 0 && height > 0 && width > 0,
              "resize: cannot make {} x {} pixels of {} x {}", height, width, image.height,
              image.width);
  ASSAY_CHECK(image.channels == 1 || image.channels == 3,
              "resize: an image has 1 channel or 3, not {}", image.channels);
  if (image.width == width) return image.height == height ? image : resize_columns(image, height);
  const Image rows = resize_rows(image, width);
  return image.height == height ? rows : resize_columns(rows, height);
}

Image resize_mask(const Image& mask, int height, int width) {
  Image out = resize(mask, height, width);
  for (uint8_t& value : out.pixels) value = value >= 128 ? 255 : 0;
  return out;
}

}  // namespace assay
