#include "models/detectors/lpd/planes.h"

#include <algorithm>
#include <cmath>

namespace assay {
namespace {

/// Maps position `i` to one inside a line of n elements.
int inside(int i, int n, Edge edge) {
  if (edge == Edge::repeat) return std::clamp(i, 0, n - 1);
  while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
  return i;
}

/// Convolves each line of n elements of `step` floats.
void blur_lines(const float* x, int lines, int n, int step, const std::vector<float>& kernel,
                Edge edge, float* out) {
  const int radius = static_cast<int>(kernel.size()) / 2;
  for (int line = 0; line < lines; ++line, x += int64_t{n} * step)
    for (int i = 0; i < n; ++i, out += step) {
      std::fill_n(out, step, 0.0f);
      for (int k = -radius; k <= radius; ++k) {
        const float* from = x + int64_t{inside(i + k, n, edge)} * step;
        const float weight = kernel[k + radius];
        for (int c = 0; c < step; ++c) out[c] += weight * from[c];
      }
    }
}

}  // namespace

std::vector<float> gaussian(double sigma, int radius) {
  std::vector<double> weights;
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) {
    weights.push_back(std::exp(-i * i / (2 * sigma * sigma)));
    sum += weights.back();
  }
  std::vector<float> kernel;
  for (const double w : weights) kernel.push_back(static_cast<float>(w / sum));
  return kernel;
}

Planes blur(const Planes& x, const std::vector<float>& kernel, Edge edge) {
  Planes rows = x, out = x;
  blur_lines(x.values.data(), x.height, x.width, x.channels, kernel, edge, rows.values.data());
  blur_lines(rows.values.data(), 1, x.height, x.width * x.channels, kernel, edge,
             out.values.data());
  return out;
}

Planes halve(const Planes& x) {
  Planes out{{}, x.height / 2, x.width / 2, x.channels};
  out.values.reserve(static_cast<size_t>(out.height) * out.width * out.channels);
  for (int y = 0; y < out.height; ++y)
    for (int i = 0; i < out.width; ++i)
      for (int c = 0; c < x.channels; ++c) {
        const float* at = x.values.data() + (int64_t{2 * y} * x.width + 2 * i) * x.channels + c;
        const float* below = at + int64_t{x.width} * x.channels;
        out.values.push_back(0.25f * (at[0] + at[x.channels] + below[0] + below[x.channels]));
      }
  return out;
}

}  // namespace assay
