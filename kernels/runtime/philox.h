// Counter-based random numbers: element i of a random tensor is a pure function of (seed, stream,
// i), so thread count, launch shape and device never change it.
#pragma once

#include <cstdint>
#include <utility>

#include "kernels/runtime/device.h"

namespace assay {

struct Philox4 {
  uint32_t v[4];
};

/// Philox4x32-10: 128 random bits for (key = seed, counter = stream:index). Salmon, Moraes, Dror,
/// Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11, section 3.3.
ASSAY_HD inline Philox4 philox(uint64_t seed, uint64_t stream, uint64_t index) {
  uint32_t c0 = static_cast<uint32_t>(index), c1 = static_cast<uint32_t>(index >> 32);
  uint32_t c2 = static_cast<uint32_t>(stream), c3 = static_cast<uint32_t>(stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c0, b = uint64_t{0xCD9E8D57} * c2;
    const uint32_t n0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(b);
    c3 = static_cast<uint32_t>(a);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// Streams of the program: every use of a seed has a stream, so that no two share numbers.
enum class RandomStream : uint64_t {
  init = 1,      ///< weights; + parameter index << 8
  shuffle = 2,   ///< order of the images; + epoch << 8
  split = 3,     ///< train / validation, folds
  noise = 4,     ///< which images are noisy (equation 7) and their noise
  augment = 5,   ///< flips and shifts; + epoch << 8
  latent = 6,    ///< z of the DCGAN; + step << 8
  builtin = 8,   ///< the procedural images
  fold = 9,      ///< the seed of a fold's training; + fold << 8
  patches = 10,  ///< LPD: images, patches and filters; + use << 8
};
constexpr uint64_t stream_id(RandomStream stream, uint64_t detail = 0) {
  return static_cast<uint64_t>(stream) | detail << 8;
}

/// A sequence of numbers of one (seed, stream), for shuffles and other choices on the host.
class RandomSequence {
 public:
  RandomSequence(uint64_t seed, RandomStream stream, uint64_t detail = 0)
      : seed_(seed), stream_(stream_id(stream, detail)) {}

  uint32_t bits() {
    if (used_ == 4) {
      block_ = philox(seed_, stream_, index_++);
      used_ = 0;
    }
    return block_.v[used_++];
  }
  /// Uniform in [0, 1) with 24 bits.
  float uniform() { return static_cast<float>(bits() >> 8) * 0x1p-24f; }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// Uniform in [0, n), n > 0, without bias (Lemire 2019, arXiv:1805.10941, algorithm 5).
  uint32_t below(uint32_t n) {
    uint64_t product = uint64_t{bits()} * n;
    if (static_cast<uint32_t>(product) < n) {
      const uint32_t threshold = -n % n;
      while (static_cast<uint32_t>(product) < threshold) product = uint64_t{bits()} * n;
    }
    return static_cast<uint32_t>(product >> 32);
  }
  /// Permutes the elements (Fisher-Yates).
  template <class Vector>
  void shuffle(Vector& v) {
    for (size_t i = v.size(); i > 1; --i) {
      const size_t j = below(static_cast<uint32_t>(i));
      if (j != i - 1) std::swap(v[i - 1], v[j]);
    }
  }

 private:
  uint64_t seed_, stream_, index_ = 0;
  Philox4 block_{};
  int used_ = 4;
};

}  // namespace assay
