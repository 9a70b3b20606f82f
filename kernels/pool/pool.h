// Max and average pooling and nearest upsampling on their own (convolution has its own, fused).
// x (N,H,W,C), y (N,P,Q,C) with P = (H - window)/stride + 1: windows that do not fit are dropped.
#pragma once

#include <cstdint>

#include "kernels/runtime/context.h"

namespace assay {

struct PoolShape {
  int N, H, W, C;
  int window = 2;  ///< at most 16: the argmax is one byte
  int stride = 2;
  ASSAY_HD constexpr int P() const { return (H - window) / stride + 1; }
  ASSAY_HD constexpr int Q() const { return (W - window) / stride + 1; }
};

/// argmax (null: not wanted) gets a*window + b of the first largest element of each window.
template <class T>
void max_pool_fprop(Context& ctx, const PoolShape& s, const T* x, T* y, uint8_t* argmax);
template <class T>
void max_pool_bprop(Context& ctx, const PoolShape& s, const T* dy, const uint8_t* argmax, T* dx);
template <class T>
void avg_pool_fprop(Context& ctx, const PoolShape& s, const T* x, T* y);
template <class T>
void avg_pool_bprop(Context& ctx, const PoolShape& s, const T* dy, T* dx);

/// y(n,h,w,c) = x(n, h/factor, w/factor, c); x (N,H,W,C), y (N,H*factor,W*factor,C).
struct UpsampleShape {
  int N, H, W, C;
  int factor = 2;
};
template <class T>
void upsample_fprop(Context& ctx, const UpsampleShape& s, const T* x, T* y);
template <class T>
void upsample_bprop(Context& ctx, const UpsampleShape& s, const T* dy, T* dx);

}  // namespace assay
