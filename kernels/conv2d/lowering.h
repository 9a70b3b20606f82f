// Convolutions that reduce to a matrix product or to another image, above both backends. Lowerings
// are applied under Algorithm::automatic alone: a named algorithm runs on the shape as it is.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/gemm/gemm.h"

namespace assay {

enum class Lowering : uint8_t {
  none,
  gemm,            ///< one output pixel under a filter as large as the image: a matrix product
  small_image,     ///< a 1x1 filter commutes with the upsampling: runs on the small image
  upsampled_image  ///< an upsampling with a stride or a pool, which no fast algorithm covers
};

Lowering lowering_of(const Conv2dShape& s, const Conv2dEpilogue& e);
/// What the lowering does and why, as printed by `describe --algorithms`; "" for none.
const char* reason_of(Lowering lowering);

/// The shape of the convolution without its upsampling, on the small image and on the upsampled.
Conv2dShape on_small_image(Conv2dShape s);
Conv2dShape on_upsampled_image(Conv2dShape s);
/// The shape that is convolved after a lowering to small_image or upsampled_image; else s.
Conv2dShape lowered_shape(Lowering lowering, const Conv2dShape& s);
/// The matrix product of a pass after the lowering to gemm.
GemmShape gemm_of(ConvPass pass, const Conv2dShape& s);

/// The passes of conv2d.h for a shape with this lowering; ctx.algorithm is `automatic`.
void lowered_fprop(Context& ctx, Lowering lowering, const Conv2dShape& s, const Conv2dEpilogue& e,
                   const float* x, Weights<float> w, const float* bias, float* y, uint8_t* argmax);
void lowered_dgrad(Context& ctx, Lowering lowering, const Conv2dShape& s, const Conv2dEpilogue& e,
                   Conv2dGrad<float> g, Weights<float> w, float* dx);
void lowered_wgrad(Context& ctx, Lowering lowering, const Conv2dShape& s, const Conv2dEpilogue& e,
                   const float* x, Conv2dGrad<float> g, float* dw, float* dbias);
/// conv2d_bprop() of a shape with the lowering small_image.
void small_image_bprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                       Conv2dGrad<float> g, Weights<float> w, float* dx, float* dw, float* dbias);

}  // namespace assay
