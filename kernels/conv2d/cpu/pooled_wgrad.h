// wgrad of a pooled 3x3 layer. A window of z passes its gradient to one pixel only, so of the
// products of a dense wgrad a quarter (pool 2) or a sixteenth (pool 4) is not with zeros; here no
// other is formed. The sum is that of the definition, without Winograd's rounding.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace assay::cpu {

/// 3x3, stride 1, pooled, and channels that fill vectors: a multiple of 16, or at most 3 and 16
/// filters at a time (AVX-512).
bool pooled_wgrad_applies(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e);
void pooled_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                  Conv2dGrad<float> g, float* dw, float* dbias);

}  // namespace assay::cpu
