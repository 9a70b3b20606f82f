// The implementations behind reduce.h; the dispatch in reduce.cpp picks one.
#pragma once

#include "kernels/reduce/reduce.h"

namespace assay {
namespace cpu {
void reduce_sum(Context& ctx, int64_t n, const float* x, float* out);
void reduce_columns(Context& ctx, int64_t rows, int C, const float* x, float* out);
void reduce_rows(Context& ctx, int64_t rows, int64_t C, const float* x, float* out);
void all_finite(Context& ctx, int64_t n, const float* x, bool* finite);
}  // namespace cpu

namespace cuda {
void reduce_sum(Context& ctx, int64_t n, const float* x, float* out);
void reduce_columns(Context& ctx, int64_t rows, int C, const float* x, float* out);
void reduce_rows(Context& ctx, int64_t rows, int64_t C, const float* x, float* out);
void all_finite(Context& ctx, int64_t n, const float* x, bool* finite);
void finish_sum(Context& ctx, const PartialSum& sum, float* out);
}  // namespace cuda
}  // namespace assay
