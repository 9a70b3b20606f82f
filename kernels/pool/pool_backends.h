// The implementations behind pool.h; the dispatch in pool.cpp picks one.
#pragma once

#include "kernels/pool/pool.h"

namespace assay {
namespace cpu {
void max_pool_fprop(Context& ctx, const PoolShape& s, const float* x, float* y, uint8_t* argmax);
void max_pool_bprop(Context& ctx, const PoolShape& s, const float* dy, const uint8_t* argmax,
                    float* dx);
void avg_pool_fprop(Context& ctx, const PoolShape& s, const float* x, float* y);
void avg_pool_bprop(Context& ctx, const PoolShape& s, const float* dy, float* dx);
void upsample_fprop(Context& ctx, const UpsampleShape& s, const float* x, float* y);
void upsample_bprop(Context& ctx, const UpsampleShape& s, const float* dy, float* dx);
}  // namespace cpu

namespace cuda {
void max_pool_fprop(Context& ctx, const PoolShape& s, const float* x, float* y, uint8_t* argmax);
void max_pool_bprop(Context& ctx, const PoolShape& s, const float* dy, const uint8_t* argmax,
                    float* dx);
void avg_pool_fprop(Context& ctx, const PoolShape& s, const float* x, float* y);
void avg_pool_bprop(Context& ctx, const PoolShape& s, const float* dy, float* dx);
void upsample_fprop(Context& ctx, const UpsampleShape& s, const float* x, float* y);
void upsample_bprop(Context& ctx, const UpsampleShape& s, const float* dy, float* dx);
/// Behind an activation other than none.
void upsample_bprop(Context& ctx, const UpsampleShape& s, Activation activation, float slope,
                    const float* y, const float* dy, float* dx);
}  // namespace cuda
}  // namespace assay
