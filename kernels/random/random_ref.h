// The definition of random tensors: block after block of four elements, one Philox call each.
#pragma once

#include "kernels/random/random.h"
#include "kernels/random/random_formula.h"

namespace assay::ref {

/// Elements [begin, end) of a tensor of n >= end elements; begin is a multiple of 4.
template <class T, class Block>
void random_elements(int64_t begin, int64_t end, T* out, const Block& block) {
  for (int64_t i = begin; i < end; i += 4) {
    T four[4];
    block(i / 4, four);
    for (int64_t j = i; j < i + 4 && j < end; ++j) out[j] = four[j - i];
  }
}

template <class T>
void random_uniform(uint64_t seed, uint64_t stream, int64_t n, T low, T high, T* out) {
  random_elements(0, n, out, [&](int64_t block, T four[4]) {
    uniform_block(seed, stream, block, low, high, four);
  });
}

template <class T>
void random_normal(uint64_t seed, uint64_t stream, int64_t n, T mean, T deviation, T* out) {
  random_elements(0, n, out, [&](int64_t block, T four[4]) {
    normal_block(seed, stream, block, mean, deviation, four);
  });
}

}  // namespace assay::ref
