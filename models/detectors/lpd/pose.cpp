#include "models/detectors/lpd/pose.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>

#include "models/detectors/lpd/planes.h"
#include "models/evaluation/statistics.h"

namespace assay {
namespace {

constexpr int kBorder = 4;
constexpr double kMinElongation = 2.5, kMinDisorder = 0.1;
constexpr double kLengthMargin = 1.14, kSpreadMargin = 1.16;

double median_of(std::vector<double> values) {
  return percentile(values, 50);
}

/// Linear between order statistics; partially sorts `values`.
double quantile(std::vector<float>& values, double percent) {
  const double at = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const auto nth = values.begin() + static_cast<int64_t>(below);
  std::nth_element(values.begin(), nth, values.end());
  if (below + 1 == values.size()) return *nth;
  const float above = *std::min_element(nth + 1, values.end());
  return *nth + (at - static_cast<double>(below)) * (above - *nth);
}

/// The largest channel of |x - median of the border| at each pixel.
std::vector<float> distance_from_border(const SquareImage& image) {
  const int side = image.side, border = std::min(kBorder, side);
  std::array<std::vector<float>, 3> edge;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      // The pixels of a corner belong to two sides and count twice.
      const int times = (y < border) + (y >= side - border) + (x < border) + (x >= side - border);
      for (int i = 0; i < times; ++i)
        for (int c = 0; c < 3; ++c) edge[c].push_back(image.pixels[(y * side + x) * 3 + c]);
    }
  std::array<float, 3> median;
  for (int c = 0; c < 3; ++c) median[c] = static_cast<float>(quantile(edge[c], 50));
  std::vector<float> distance(static_cast<size_t>(side) * side);
  for (size_t i = 0; i < distance.size(); ++i)
    for (int c = 0; c < 3; ++c)
      distance[i] = std::max(distance[i], std::abs(image.pixels[i * 3 + c] - median[c]));
  return distance;
}

/// Otsu's threshold from a histogram of 256 bins between min and max: the upper end of the bin that
/// splits the values into two classes with the largest variance between them.
float otsu_threshold(const std::vector<float>& values) {
  constexpr int kBins = 256;
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  const double low = *min, width = (static_cast<double>(*max) - low) / kBins;
  if (width <= 0) return *max;
  std::array<double, kBins> share{};
  for (const float v : values)
    share[std::min(kBins - 1, static_cast<int>((v - low) / width))] +=
        1.0 / static_cast<double>(values.size());
  double total = 0;
  for (int i = 0; i < kBins; ++i) total += share[i] * (low + (i + 1) * width);
  double weight = 0, sum = 0, best = -1, threshold = low;
  for (int i = 0; i < kBins; ++i) {
    const double end = low + (i + 1) * width;
    weight += share[i];
    sum += share[i] * end;
    const double apart = total * weight - sum;
    const double variance = apart * apart / (weight * (1 - weight) + 1e-9);
    if (variance > best) {
      best = variance;
      threshold = end;
    }
  }
  return static_cast<float>(threshold);
}

/// Calls visit for every pixel of the 4-connected region of `mask` pixels with this value.
template <class Visit>
void flood(const std::vector<uint8_t>& mask, int side, int start, std::vector<uint8_t>& seen,
           const Visit& visit) {
  std::vector<int> stack = {start};
  const uint8_t value = mask[start];
  seen[start] = 1;
  while (!stack.empty()) {
    const int at = stack.back();
    stack.pop_back();
    visit(at);
    const int x = at % side, y = at / side;
    const auto reach = [&](bool inside, int to) {
      if (!inside || seen[to] != 0 || mask[to] != value) return;
      seen[to] = 1;
      stack.push_back(to);
    };
    reach(x > 0, at - 1);
    reach(x + 1 < side, at + 1);
    reach(y > 0, at - side);
    reach(y + 1 < side, at + side);
  }
}

std::vector<uint8_t> largest_region(const std::vector<uint8_t>& mask, int side) {
  std::vector<uint8_t> seen(mask.size()), region(mask.size());
  std::vector<int> largest;
  for (int i = 0; i < side * side; ++i) {
    if (mask[i] == 0 || seen[i] != 0) continue;
    std::vector<int> pixels;
    flood(mask, side, i, seen, [&](int at) { pixels.push_back(at); });
    if (pixels.size() > largest.size()) largest = std::move(pixels);
  }
  for (const int at : largest) region[at] = 1;
  return region;
}

/// Sets every pixel that is not connected to the border through background.
void fill_holes(std::vector<uint8_t>& mask, int side) {
  std::vector<uint8_t> seen(mask.size());
  for (int i = 0; i < side; ++i)
    for (const int at : {i, (side - 1) * side + i, i * side, i * side + side - 1})
      if (mask[at] == 0 && seen[at] == 0) flood(mask, side, at, seen, [](int) {});
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = seen[i] == 0;
}

struct Moments {
  double x = 0, y = 0, xx = 0, yy = 0, xy = 0;  ///< means, and second moments about them
  int64_t count = 0;

  double angle() const { return 0.5 * std::atan2(2 * xy, xx - yy); }
  /// Larger over smaller second moment of the principal axes.
  double elongation() const {
    const double middle = (xx + yy) / 2, apart = std::hypot((xx - yy) / 2, xy);
    return (middle + apart) / std::max(middle - apart, 1e-9);
  }
};

Moments moments_of(const std::vector<uint8_t>& mask, int side) {
  Moments m;
  for (int i = 0; i < side * side; ++i) {
    if (mask[i] == 0) continue;
    const int x = i % side, y = i / side;
    m.x += x;
    m.y += y;
    ++m.count;
  }
  if (m.count == 0) return m;
  const auto n = static_cast<double>(m.count);
  m.x /= n;
  m.y /= n;
  for (int i = 0; i < side * side; ++i) {
    if (mask[i] == 0) continue;
    const int x = i % side, y = i / side;
    const double dx = x - m.x, dy = y - m.y;
    m.xx += dx * dx / n;
    m.yy += dy * dy / n;
    m.xy += dx * dy / n;
  }
  return m;
}

}  // namespace

std::vector<uint8_t> foreground(const SquareImage& image) {
  const int side = image.side;
  const std::vector<float> distance =
      blur({distance_from_border(image), side, side, 1}, gaussian(1.0, 4), Edge::mirror).values;
  const float threshold = otsu_threshold(distance);
  std::vector<uint8_t> mask(distance.size());
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = distance[i] > threshold;
  mask = largest_region(mask, side);
  fill_holes(mask, side);
  return mask;
}

Pose find_pose(const SquareImage& image) {
  const int side = image.side;
  const std::vector<uint8_t> mask = foreground(image);
  const Moments m = moments_of(mask, side);
  if (m.count == 0) return {.x = (side - 1) / 2.0, .y = (side - 1) / 2.0};
  Pose pose{.angle = m.angle()};
  const double c = std::cos(pose.angle), s = std::sin(pose.angle);
  std::vector<float> us, vs;
  for (int i = 0; i < side * side; ++i) {
    if (mask[i] == 0) continue;
    const int x = i % side, y = i / side;
    const double dx = x - m.x, dy = y - m.y;
    us.push_back(static_cast<float>(dx * c + dy * s));
    vs.push_back(static_cast<float>(-dx * s + dy * c));
  }
  std::vector<float> sorted = us;
  const double low = quantile(sorted, 0.3), high = quantile(sorted, 99.7),
               middle = (low + high) / 2;
  double wide[2] = {}, count[2] = {};
  for (size_t i = 0; i < us.size(); ++i) {
    const bool upper = us[i] >= middle;
    wide[upper] += double{vs[i]} * vs[i];
    ++count[upper];
  }
  sorted = vs;
  const double v_middle = (quantile(sorted, 0.5) + quantile(sorted, 99.5)) / 2;
  pose.x = m.x + middle * c - v_middle * s;
  pose.y = m.y + middle * s + v_middle * c;
  pose.length = high - low;
  for (size_t i = 0; i < vs.size(); ++i) sorted[i] = std::abs(vs[i] - static_cast<float>(v_middle));
  pose.spread = quantile(sorted, 99.5);
  if (wide[1] * count[0] > wide[0] * count[1]) pose.angle += std::numbers::pi;
  return pose;
}

bool are_posed(std::span<const std::vector<uint8_t>> foregrounds, int side) {
  std::vector<double> elongation;
  std::complex<double> direction = 0;
  for (const std::vector<uint8_t>& mask : foregrounds) {
    const Moments m = moments_of(mask, side);
    if (m.count == 0) return false;
    elongation.push_back(m.elongation());
    direction += std::polar(1.0, 2 * m.angle());
  }
  const double disorder = 1 - std::abs(direction) / static_cast<double>(foregrounds.size());
  return percentile(elongation, 5) > kMinElongation && disorder > kMinDisorder;
}

CropSize crop_size(std::span<const Pose> poses) {
  // A filter of 5 pixels must fit into the crop at a quarter of its size.
  const auto up_to_4 = [](double v) {
    return std::max(20, static_cast<int>(std::ceil(v / 4)) * 4);
  };
  std::vector<double> lengths, spreads;
  for (const Pose& pose : poses) lengths.push_back(pose.length);
  for (const Pose& pose : poses.first(std::min(kFitImages, poses.size())))
    spreads.push_back(pose.spread);
  return {.height = up_to_4(2 * kSpreadMargin * median_of(std::move(spreads))),
          .width = up_to_4(kLengthMargin * median_of(std::move(lengths)))};
}

CropPoint to_crop(const Pose& pose, const CropSize& size, double x, double y) {
  const double c = std::cos(pose.angle), s = std::sin(pose.angle);
  const double dx = x - pose.x, dy = y - pose.y;
  return {dx * c + dy * s + size.width / 2.0 - 0.5, -dx * s + dy * c + size.height / 2.0 - 0.5};
}

void crop(const SquareImage& image, const Pose& pose, const CropSize& size, float* out) {
  const double c = std::cos(pose.angle), s = std::sin(pose.angle);
  const int last = image.side - 1;
  for (int i = 0; i < size.height; ++i)
    for (int j = 0; j < size.width; ++j, out += 3) {
      const double u = j - (size.width / 2.0 - 0.5), v = i - (size.height / 2.0 - 0.5);
      const double x = std::clamp(pose.x + u * c - v * s, 0.0, static_cast<double>(last));
      const double y = std::clamp(pose.y + u * s + v * c, 0.0, static_cast<double>(last));
      const int x0 = static_cast<int>(x), y0 = static_cast<int>(y);
      const int x1 = std::min(x0 + 1, last), y1 = std::min(y0 + 1, last);
      const auto fx = static_cast<float>(x - x0), fy = static_cast<float>(y - y0);
      for (int k = 0; k < 3; ++k) {
        const auto at = [&](int row, int column) {
          return image.pixels[(row * image.side + column) * 3 + k];
        };
        const float upper = at(y0, x0) + fx * (at(y0, x1) - at(y0, x0));
        const float lower = at(y1, x0) + fx * (at(y1, x1) - at(y1, x0));
        out[k] = upper + fy * (lower - upper);
      }
    }
}

}  // namespace assay
