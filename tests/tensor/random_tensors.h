// Random tensors for tests, from a seed.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "kernels/runtime/philox.h"
#include "tensor/tensor.h"

namespace assay::testing {

/// Float64 tensors, each with numbers of its own.
class RandomTensors {
 public:
  explicit RandomTensors(uint64_t seed) : random_(seed, RandomStream::noise) {}

  Tensor uniform(const Shape& shape, double low, double high) {
    std::vector<double> values(numel(shape));
    for (double& v : values) v = low + (high - low) * random_.bits() * 0x1p-32;
    return Tensor::from(shape, std::span<const double>(values));
  }
  Tensor normal(const Shape& shape) {
    std::vector<double> values(numel(shape));
    for (double& v : values) {
      const double radius = std::sqrt(-2 * std::log((random_.bits() + 0.5) * 0x1p-32));
      v = radius * std::cos(2 * std::numbers::pi * random_.bits() * 0x1p-32);
    }
    return Tensor::from(shape, std::span<const double>(values));
  }

 private:
  RandomSequence random_;
};

}  // namespace assay::testing
