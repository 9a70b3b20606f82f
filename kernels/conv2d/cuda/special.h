// Convolutions that are something simpler in disguise; `automatic` looks here first.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace assay::cuda::special {

/// One output pixel under a filter as large as the picture (a matrix product), or a 1x1 filter
/// behind an upsampling (the two commute, so it runs on the small picture).
bool applies(const Conv2dShape& s, const Conv2dEpilogue& e);
/// The rung that runs.
ConvAlgo rung(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e);

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y);
void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           Weights<float> w, float* dx);
/// Without dbias, as the rungs.
void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw);

}  // namespace assay::cuda::special
