// 3x3 convolutions of few source channels by Winograd's F(4,3), fused: no planes of transformed
// patches are written beyond the first-level cache (conv2d_winograd.h does that where there are
// more channels, to share a panel of filters between many tiles).
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace assay::cpu {

/// C is 16 or at most 3, K a multiple of 16.
bool winograd_narrow_applies_to_fprop(const Context& ctx, const Conv2dShape& s);
/// K is 16, C a multiple of 16.
bool winograd_narrow_applies_to_dgrad(const Context& ctx, const Conv2dShape& s);
void winograd_narrow_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                           const float* x, Weights<float> w, const float* bias, float* y,
                           uint8_t* argmax);
void winograd_narrow_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                           Conv2dGrad<float> g, Weights<float> w, float* dx);

}  // namespace assay::cpu
