// Random tensors for tests, from a seed.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "kernels/runtime/philox.h"
#include "tensor/tensor.h"

namespace assay::testing {

/// Tensors of one type in the current context, each with different numbers.
class RandomTensors {
 public:
  explicit RandomTensors(uint64_t seed, DType type = DType::f64)
      : random_(seed, RandomStream::noise), type_(type) {}

  Tensor uniform(const Shape& shape, double low, double high) {
    std::vector<double> values(numel(shape));
    for (double& v : values) v = low + (high - low) * random_.bits() * 0x1p-32;
    return tensor(shape, values);
  }
  Tensor normal(const Shape& shape) {
    std::vector<double> values(numel(shape));
    for (double& v : values) {
      const double radius = std::sqrt(-2 * std::log((random_.bits() + 0.5) * 0x1p-32));
      v = radius * std::cos(2 * std::numbers::pi * random_.bits() * 0x1p-32);
    }
    return tensor(shape, values);
  }

 private:
  Tensor tensor(const Shape& shape, const std::vector<double>& values) const {
    if (type_ == DType::f64) return Tensor::from(shape, std::span<const double>(values));
    const std::vector<float> rounded(values.begin(), values.end());
    return Tensor::from(shape, std::span<const float>(rounded));
  }

  RandomSequence random_;
  DType type_;
};

}  // namespace assay::testing
