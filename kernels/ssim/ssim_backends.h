// The implementations behind ssim.h; the dispatch in ssim.cpp picks one.
#pragma once

#include "kernels/ssim/ssim.h"

namespace assay {
namespace cpu {
void ssim(Context& ctx, const SsimShape& s, const float* x, const float* y, float* value,
          float* map);
void ssim_bprop(Context& ctx, const SsimShape& s, const float* x, const float* y,
                const float* dvalue, float* dx);
}  // namespace cpu

namespace cuda {
void ssim(Context& ctx, const SsimShape& s, const float* x, const float* y, float* value,
          float* map);
void ssim_bprop(Context& ctx, const SsimShape& s, const float* x, const float* y,
                const float* dvalue, float* dx);
}  // namespace cuda
}  // namespace assay
