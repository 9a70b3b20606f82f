#include "models/evaluation/memorisation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/runtime/context.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/parallel.h"

namespace assay {
namespace {

/// Sum of squared differences of integers, so exact in any order.
int64_t squared_difference(const Image& a, const Image& b) {
  ASSAY_CHECK(a.height == b.height && a.width == b.width && a.channels == b.channels,
              "pixel_distance: an image of {}x{}x{} and one of {}x{}x{}", a.height, a.width,
              a.channels, b.height, b.width, b.channels);
  constexpr size_t kRun = 16384;  // 255^2 kRun fits into 32 bits
  int64_t sum = 0;
  for (size_t begin = 0; begin < a.pixels.size(); begin += kRun) {
    uint32_t part = 0;
    const size_t end = std::min(begin + kRun, a.pixels.size());
    for (size_t i = begin; i < end; ++i) {
      const int d = int{a.pixels[i]} - int{b.pixels[i]};
      part += static_cast<uint32_t>(d * d);
    }
    sum += part;
  }
  return sum;
}

double to_distance(int64_t squares, const Image& image) {
  return std::sqrt(static_cast<double>(squares) / static_cast<double>(image.size())) / 255;
}

constexpr size_t kNone = std::numeric_limits<size_t>::max();

/// The nearest of `others` without index `skip`.
Nearest nearest(const Image& image, std::span<const Image> others, size_t skip = kNone) {
  int64_t min = std::numeric_limits<int64_t>::max();
  Nearest found;
  for (size_t i = 0; i < others.size(); ++i) {
    if (i == skip) continue;
    const int64_t squares = squared_difference(image, others[i]);
    if (squares >= min) continue;
    min = squares;
    found.index = i;
  }
  found.distance = to_distance(min, image);
  return found;
}

}  // namespace

double pixel_distance(const Image& a, const Image& b) {
  return to_distance(squared_difference(a, b), a);
}

std::vector<Nearest> nearest_of(std::span<const Image> images, std::span<const Image> others) {
  ASSAY_CHECK(!others.empty(), "nearest_of: there are no other images");
  std::vector<Nearest> found(images.size());
  parallel_for(current_context(), static_cast<int64_t>(images.size()),
               [&](int64_t i) { found[i] = nearest(images[i], others); });
  return found;
}

std::vector<Nearest> nearest_of_the_rest(std::span<const Image> images) {
  ASSAY_CHECK(images.size() >= 2, "nearest_of_the_rest: {} images", images.size());
  std::vector<Nearest> found(images.size());
  parallel_for(current_context(), static_cast<int64_t>(images.size()),
               [&](int64_t i) { found[i] = nearest(images[i], images, static_cast<size_t>(i)); });
  return found;
}

double mean_pair_distance(std::span<const Image> images) {
  ASSAY_CHECK(images.size() >= 2, "mean_pair_distance: {} images", images.size());
  double sum = 0;
  for (size_t i = 0; i < images.size(); ++i)
    for (size_t j = 0; j < i; ++j) sum += pixel_distance(images[i], images[j]);
  const auto n = static_cast<double>(images.size());
  return sum / (n * (n - 1) / 2);
}

}  // namespace assay
