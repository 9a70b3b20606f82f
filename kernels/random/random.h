// Random tensors: element i is a pure function of (seed, stream, first + i).
#pragma once

#include "kernels/runtime/context.h"
#include "kernels/runtime/philox.h"

namespace assay {

/// Uniform in [low, high), 24 random bits each.
template <class T>
void random_uniform(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, T low, T high, T* out);
/// Normal by Box and Muller, 1958: elements 2j and 2j+1 are the cosine and sine branch of one pair.
template <class T>
void random_normal(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, T mean, T deviation,
                   T* out);

}  // namespace assay
