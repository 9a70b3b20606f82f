// The implementations behind random.h; the dispatch in random.cpp picks one.
#pragma once

#include "kernels/random/random.h"

namespace assay {
namespace cpu {
void random_uniform(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, float low, float high,
                    float* out);
void random_normal(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, float mean,
                   float deviation, float* out);
}  // namespace cpu

namespace cuda {
void random_uniform(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, float low, float high,
                    float* out);
void random_normal(Context& ctx, uint64_t seed, uint64_t stream, int64_t n, float mean,
                   float deviation, float* out);
}  // namespace cuda
}  // namespace assay
