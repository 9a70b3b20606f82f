// fprop of a pooled 3x3 layer of one channel. A tile of the general microkernel does nine steps
// there and pays for its start and end; Winograd saves products but not the transform behind them.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace assay::cpu {

/// 3x3, one channel, stride 1, pool 2, filters in multiples of 16.
bool one_channel_applies(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e);
void one_channel_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                       Weights<float> w, const float* bias, float* y, uint8_t* argmax);

}  // namespace assay::cpu
