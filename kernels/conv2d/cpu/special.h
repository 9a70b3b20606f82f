// Convolutions that are something simpler in disguise.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace assay::cpu {

/// One output pixel under a filter as large as the picture: a dense layer (kernels/gemm).
bool is_dense(const Conv2dShape& s);
void dense_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                 Weights<float> w, const float* bias, float* y);
void dense_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
                 Weights<float> w, float* dx);
void dense_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                 Conv2dGrad<float> g, float* dw, float* dbias);

/// A 1x1 filter behind an upsampling: the two commute, so it runs on the small picture.
bool is_pixelwise_behind_upsampling(const Conv2dShape& s, const Conv2dEpilogue& e);
/// An upsampling together with a stride or a pool is nobody's layer: it runs on an upsampled copy.
bool needs_upsampled_copy(const Conv2dShape& s, const Conv2dEpilogue& e);
/// The shape on the small and on the upsampled picture.
Conv2dShape without_upsampling(Conv2dShape s);
Conv2dShape upsampled(Conv2dShape s);

/// Nearest upsampling by s.upsample of (N,H,W,channels), and its gradient: the sum of the copies.
void upsample(Context& ctx, const Conv2dShape& s, int channels, const float* small, float* big);
void sum_copies(Context& ctx, const Conv2dShape& s, int channels, const float* big, float* small);
/// dz of a layer without a pool, whole.
void whole_dz(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
              float* dz);

}  // namespace assay::cpu
