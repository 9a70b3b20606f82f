// The weights and inputs of the goldens, bit for bit as formula.py computes them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/safetensors.h"

namespace assay::testing {

inline constexpr uint32_t kImageStream = 1000, kLatentStream = 1001;

/// A multiple of 2^-23 in [-1, 1): a hash of both integers (the finaliser of MurmurHash3).
inline double formula(uint32_t stream, uint32_t i) {
  uint32_t h = i + 0x9E3779B9u * stream;
  h ^= h >> 16;
  h *= 0x85EBCA6Bu;
  h ^= h >> 13;
  h *= 0xC2B2AE35u;
  h ^= h >> 16;
  return (h >> 8) / 8388608.0 - 1;
}

/// A tensor of offset + scale * formula(stream, i).
inline Tensor formula_tensor(uint32_t stream, const Shape& shape, double scale, double offset) {
  std::vector<float> values(numel(shape));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(offset + scale * formula(stream, static_cast<uint32_t>(i)));
  return Tensor::from(shape, values);
}

/// In [0,1); (N,size,size,C).
inline Tensor formula_images(int64_t N, int64_t size, int64_t C) {
  return formula_tensor(kImageStream, {N, size, size, C}, 0.5, 0.5);
}
/// In [-1,1); (N,size,size,C).
inline Tensor formula_signed_images(int64_t N, int64_t size, int64_t C) {
  return formula_tensor(kImageStream, {N, size, size, C}, 1, 0);
}
/// Latents of unit variance, (N,1,1,length).
inline Tensor formula_latents(int64_t N, int64_t length) {
  return formula_tensor(kLatentStream, {N, 1, 1, length}, std::sqrt(3.0), 0);
}

/// A state dict of the same names and shapes (those of PyTorch) as `like`. The stream of a name is
/// its place in the alphabet.
inline StateDict formula_state(const StateDict& like) {
  StateDict state;
  uint32_t stream = 0;
  for (const auto& [name, entry] : like) {
    const std::string_view n = name;
    const bool gan = n.starts_with("generator.") || n.starts_with("discriminator.");
    const Shape& shape = entry.shape;
    if (n.ends_with("num_batches_tracked")) {
      state[name] = StoredTensor::of(7);
    } else {
      double scale = 0.1, offset = 0;
      if (shape.size() >= 2)
        scale = gan ? 0.04 : std::sqrt(6.0 / static_cast<double>(numel(shape) / shape[0]));
      else if (n.ends_with("running_var"))
        scale = 0.5, offset = 1;
      else if (gan && n.ends_with("weight"))
        offset = 1;
      state[name] = StoredTensor::of(formula_tensor(stream, shape, scale, offset));
    }
    ++stream;
  }
  return state;
}

}  // namespace assay::testing
