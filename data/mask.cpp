#include "data/mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr int kThreshold = 128;
constexpr int kAlmostBlack = 8;  // JPEG may turn 0 into this
constexpr int kMaxLabels = 32;   // kinds of defects that a mask may number

/// The brightest channel of every pixel, so that pure blue marks like white.
Image brightest(const Image& image) {
  if (image.channels == 1) return image;
  Image out(image.height, image.width, 1);
  for (size_t i = 0; i < out.size(); ++i)
    out.pixels[i] =
        std::max({image.pixels[3 * i], image.pixels[3 * i + 1], image.pixels[3 * i + 2]});
  return out;
}

bool is_coloured(const Image& image) {
  if (image.channels == 1) return false;
  for (size_t i = 0; i < image.size(); i += 3)
    if (image.pixels[i] != image.pixels[i + 1] || image.pixels[i] != image.pixels[i + 2])
      return true;
  return false;
}

std::array<int64_t, 256> histogram_of(const Image& grey) {
  std::array<int64_t, 256> counts{};
  for (const uint8_t v : grey.pixels) ++counts[v];
  return counts;
}

Image marked_from(const Image& grey, int threshold) {
  Image mask(grey.height, grey.width, 1);
  std::transform(grey.pixels.begin(), grey.pixels.end(), mask.pixels.begin(),
                 [&](uint8_t v) { return v >= threshold ? uint8_t{255} : uint8_t{0}; });
  return mask;
}

/// Whether some 3 x 3 block has one constant value in [low, high]; a blurred edge has none.
bool has_area_of(const Image& grey, int low, int high) {
  for (int y = 1; y + 1 < grey.height; ++y) {
    for (int x = 1; x + 1 < grey.width; ++x) {
      const uint8_t v = *grey.at(y, x);
      if (v < low || v > high) continue;
      bool flat = true;
      for (int dy = -1; dy <= 1 && flat; ++dy)
        for (int dx = -1; dx <= 1 && flat; ++dx) flat = *grey.at(y + dy, x + dx) == v;
      if (flat) return true;
    }
  }
  return false;
}

/// The mask from the colour channels, ignoring alpha.
Image colours_mark(const DecodedImage& file, const std::string& name) {
  const Image grey = brightest(file.image);
  const std::array<int64_t, 256> counts = histogram_of(grey);
  const auto distinct =
      std::count_if(counts.begin() + 1, counts.end(), [](int64_t n) { return n > 0; });
  int highest = 255;
  while (highest > 0 && counts[highest] == 0) --highest;
  if (!file.lossy && (distinct <= 1 || (distinct <= kMaxLabels &&
                                        (highest <= kMaxLabels || is_coloured(file.image)))))
    return marked_from(grey, 1);
  const auto refuse = [&](const std::string& what) {
    throw DataError(fmt::format(
        "{}: the mask {}; save it with 0 where the image is good and 255 where it is not", name,
        what));
  };
  if (highest < kThreshold)
    refuse(fmt::format("has values from 0 to {}, which is no white", highest));
  if (has_area_of(grey, file.lossy ? kAlmostBlack + 1 : 1, kThreshold - 1))
    refuse("has areas of a grey below 128, which may mark a defect or not");
  return marked_from(grey, kThreshold);
}

bool is_constant(const Image& image) {
  for (size_t i = image.channels; i < image.size(); ++i)
    if (image.pixels[i] != image.pixels[i % image.channels]) return false;
  return true;
}

}  // namespace

Image mask_of(const DecodedImage& file, const std::string& name) {
  Image mask;
  if (file.alpha.size() == 0 || is_constant(file.alpha)) {
    mask = colours_mark(file, name);
  } else {
    mask = marked_from(file.alpha, kThreshold);
    ASSAY_CHECK_AS(DataError, is_constant(file.image) || colours_mark(file, name) == mask,
                   "{}: the mask's alpha marks other pixels than its colours; save it without "
                   "alpha, 0 where the image is good and 255 where it is not",
                   name);
  }
  return mask;
}

MaskCoverage coverage_of(const Image& mask) {
  int64_t marked = 0, on_border = 0, border = 0;
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      const bool is_border = y == 0 || x == 0 || y + 1 == mask.height || x + 1 == mask.width;
      const bool is_marked = *mask.at(y, x) != 0;
      marked += is_marked;
      border += is_border;
      on_border += is_marked && is_border;
    }
  }
  return {static_cast<double>(marked) / static_cast<double>(mask.size()),
          static_cast<double>(on_border) / static_cast<double>(border)};
}

}  // namespace assay
