// Random tensors: element i depends on (seed, stream, i) alone.
#pragma once

#include "kernels/runtime/context.h"
#include "kernels/runtime/philox.h"

namespace assay {

/// out (n): uniform in [low, high), 24 random bits each.
template <class T>
void random_uniform(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, T low, T high, T* out);
/// out (n): normal by Box and Muller, 1958. Elements 2j and 2j+1 are the cosine and the sine branch
/// of one pair.
template <class T>
void random_normal(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, T mean, T deviation,
                   T* out);

}  // namespace assay
