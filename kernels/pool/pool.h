// Max and average pooling and nearest upsampling as separate operations (convolution fuses its
// own). x (N,H,W,C), y (N,P,Q,C) with P = (H - window)/stride + 1: windows that do not fit are
// dropped. All functions throw Error for sizes that the structs exclude.
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/context.h"

namespace assay {

struct PoolShape {
  int N, H, W, C;  ///< H and W at least `window`
  int window = 2;  ///< 1 to 16, because the argmax is one byte
  int stride = 2;  ///< at least 1
  ASSAY_HD constexpr int P() const { return (H - window) / stride + 1; }
  ASSAY_HD constexpr int Q() const { return (W - window) / stride + 1; }
};

/// y gets the maximum of each window; argmax (N,P,Q,C), unless null, a*window + b of its first
/// occurrence.
template <class T>
void max_pool_fprop(Context& ctx, const PoolShape& s, const T* x, T* y, uint8_t* argmax);
/// Overwrites dx (N,H,W,C): each dy goes to the argmax of its window.
template <class T>
void max_pool_bprop(Context& ctx, const PoolShape& s, const T* dy, const uint8_t* argmax, T* dx);
/// y gets the mean of each window.
template <class T>
void avg_pool_fprop(Context& ctx, const PoolShape& s, const T* x, T* y);
/// Overwrites dx (N,H,W,C): each dy / window^2 goes to every element of its window.
template <class T>
void avg_pool_bprop(Context& ctx, const PoolShape& s, const T* dy, T* dx);

/// y(n,h,w,c) = x(n, h/factor, w/factor, c); x (N,H,W,C), y (N,H*factor,W*factor,C).
struct UpsampleShape {
  int N, H, W, C;
  int factor = 2;  ///< at least 1
};
template <class T>
void upsample_fprop(Context& ctx, const UpsampleShape& s, const T* x, T* y);
/// Overwrites dx (N,H,W,C) with the sum of dy over the copies of each pixel.
template <class T>
void upsample_bprop(Context& ctx, const UpsampleShape& s, const T* dy, T* dx);
/// The same of dy f'(y): an activation follows the upsampling. y has the shape of dy; it is not
/// read for Activation::none.
void upsample_bprop(Context& ctx, const UpsampleShape& s, Activation activation, float slope,
                    const float* y, const float* dy, float* dx);

}  // namespace assay
