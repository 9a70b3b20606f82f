// Structural similarity. Wang, Bovik, Sheikh, Simoncelli, 2004, IEEE TIP 13(4), equation 13:
//
//   SSIM = (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx + sy + C2))
//
// with mx, my, sx, sy, sxy the moments under an 11x11 Gaussian of sigma 1.5 (weights that sum to 1,
// no sample covariance) and C1 = (.01)^2, C2 = (.03)^2 for a data range of 1. Edges are symmetric,
// "d c b a | a b c d". The mean leaves out a border of 5 pixels, scikit-image's convention.
#pragma once

#include "kernels/runtime/context.h"

namespace assay {

/// Images of N images with C channels; H and W at least 11. Throws Error otherwise.
struct SsimShape {
  int N, H, W, C;
};

/// value (N) gets the mean SSIM of each image over its channels and inner pixels; map (N,H,W,C),
/// unless null, the SSIM at every pixel, border included.
template <class T>
void ssim(Context& ctx, const SsimShape& s, const T* x, const T* y, T* value, T* map);
/// dx (N,H,W,C) = sum_n dvalue(n) * d value(n) / dx.
template <class T>
void ssim_bprop(Context& ctx, const SsimShape& s, const T* x, const T* y, const T* dvalue, T* dx);

}  // namespace assay
