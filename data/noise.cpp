#include "data/noise.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/portable_math.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"

namespace assay {
namespace {

/// Uniform in (0,1), so that its logarithm is finite.
double open_uniform(uint32_t bits) {
  return (bits + 0.5) * 0x1p-32;
}

struct NormalPair {
  double first, second;
};
/// Box and Muller, 1958.
NormalPair normal_pair(uint32_t a, uint32_t b) {
  const double radius = std::sqrt(-2 * log_unit(open_uniform(a))), turns = open_uniform(b);
  return {radius * cos_turns(turns), radius * sin_turns(turns)};
}

}  // namespace

std::vector<size_t> draw_noisy_images(size_t n, uint64_t seed, double share) {
  ASSAY_CHECK(share >= 0 && share <= 1, "noise: the share of noisy images is {:g}, not in [0,1]",
              share);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  RandomSequence(seed, RandomStream::noise).shuffle(order);
  order.resize(static_cast<size_t>(share * static_cast<double>(n)));
  std::sort(order.begin(), order.end());
  return order;
}

void add_noise(std::span<float> values, uint64_t seed, uint64_t image, double variance) {
  const double deviation = std::sqrt(variance);
  const uint64_t stream = stream_id(RandomStream::noise, image + 1);  // stream 0 chooses the images
  for (size_t i = 0; i < values.size(); i += 4) {
    const Philox4 random = philox(seed, stream, i / 4);
    const NormalPair a = normal_pair(random.v[0], random.v[1]);
    const NormalPair b = normal_pair(random.v[2], random.v[3]);
    const double normal[4] = {a.first, a.second, b.first, b.second};
    for (size_t k = 0; k < std::min<size_t>(4, values.size() - i); ++k) {
      const double noisy = values[i + k] + deviation * normal[k];
      values[i + k] = static_cast<float>(std::clamp(noisy, 0.0, 1.0));
    }
  }
}

}  // namespace assay
