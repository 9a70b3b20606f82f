// Convolutions with fewer multiplications than their definition has (winograd.h).
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace assay::cpu {

/// Whether these passes run here: where it saves work and the context allows it (automatic with
/// precision fp32), or wherever the shape is possible at all (ConvAlgo::winograd). Does not depend
/// on N: a picture gets the same output in every batch.
bool winograd_applies(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e);
/// The same for wgrad, where a batch of few pixels is not worth the sums of big transformed
/// filters.
bool winograd_applies_to_wgrad(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e);

void winograd_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                    Weights<float> w, const float* bias, float* y, uint8_t* argmax);
void winograd_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                    Conv2dGrad<float> g, Weights<float> w, float* dx);
void winograd_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                    Conv2dGrad<float> g, float* dw, float* dbias);

/// The same of 4x4 filters with stride 2 and padding 1, without a pool; all passes together. A
/// picture alone is convolved directly, so its output there differs from that in a batch by
/// roundings.
bool winograd_strided_applies(const Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e);

void winograd_strided_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                            const float* x, Weights<float> w, const float* bias, float* y);
void winograd_strided_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                            Conv2dGrad<float> g, Weights<float> w, float* dx);
void winograd_strided_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                            const float* x, Conv2dGrad<float> g, float* dw, float* dbias);

}  // namespace assay::cpu
