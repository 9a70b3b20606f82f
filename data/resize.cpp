#include "data/resize.h"

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
};

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
    result.first.push_back(first);
    result.count.push_back(count);
  }
  return result;
}

uint8_t round_to_8_bits(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

template <int C>
void resize_row(const uint8_t* in, const Taps& taps, int out_width, uint8_t* out) {
  for (int x = 0; x < out_width; ++x) {
    const uint8_t* p = in + static_cast<size_t>(taps.first[x]) * C;
    const int32_t* w = &taps.weight[static_cast<size_t>(x) * taps.taps];
    int32_t sum[C];
    for (int c = 0; c < C; ++c) sum[c] = kHalf;
    for (int t = 0; t < taps.count[x]; ++t) {
      for (int c = 0; c < C; ++c) sum[c] += p[t * C + c] * w[t];
    }
    for (int c = 0; c < C; ++c) out[x * C + c] = round_to_8_bits(sum[c]);
  }
}

Image resize_rows(const Image& in, int width) {
  const Taps taps = triangle_taps(in.width, width);
  Image out(in.height, width, in.channels);
  const auto row = in.channels == 1 ? resize_row<1> : resize_row<3>;
  for (int y = 0; y < in.height; ++y) row(in.at(y, 0), taps, width, out.at(y, 0));
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
  ASSAY_CHECK(image.size() > 0 && height > 0 && width > 0, "resize: cannot make ", height, " x ",
              width, " pixels of ", image.height, " x ", image.width);
  ASSAY_CHECK(image.channels == 1 || image.channels == 3,
              "resize: a picture has 1 channel or 3, not ", image.channels);
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
