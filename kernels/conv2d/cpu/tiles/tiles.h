// Convolutions of bf16 tensors by the tile instructions (../../CPU.md, version 5): the passes of
// conv2d.h with x, y, dy and dx in bf16. Weights, bias and their gradients are fp32. w is rounded
// to bf16, after taps that fall together behind an upsampling are summed, and so is dz = dy f'(y).
// All sums are fp32.
//
// The passes need active_tiles() (kernels/runtime/isa.h) other than none, and a shape that covers()
// calls possible. Neither the number of threads nor the kind of tiles changes a bit.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/runtime/algorithm_table.h"
#include "kernels/runtime/bf16.h"

namespace assay::cpu::tiles {

/// Whether tiles can compute a pass, and whether they are faster than fp32 with conversions at its
/// ends.
Coverage covers(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e);

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
           Weights<float> w, const float* bias, bf16* y, uint8_t* argmax);
void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<bf16> g,
           Weights<float> w, bf16* dx);
void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
           Conv2dGrad<bf16> g, float* dw, float* dbias);

}  // namespace assay::cpu::tiles
