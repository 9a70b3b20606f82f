// Inputs of the benchmarks: random, never zeros.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/runtime/philox.h"

namespace assay::bench {

/// Uniform in [-1, 1).
inline std::vector<float> random_floats(int64_t n, uint64_t seed) {
  RandomSequence random(seed, RandomStream::init);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& f : v) f = random.uniform(-1, 1);
  return v;
}

}  // namespace assay::bench
