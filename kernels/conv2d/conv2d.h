// Convolution fused with its neighbours in our networks, as one operation:
//
//   x -> nearest upsampling -> convolution -> + bias -> max-pool -> activation -> y
//
// (f is non-decreasing (check_activation), so pooling before it or after it gives the same y;
// before it is cheaper.)  With x'(n,h,w,c) = x(n, h/upsample, w/upsample, c), zero outside,
//
//   z(n,p,q,k) = bias(k) + sum_{r,s,c} x'(n, p*stride - pad + r, q*stride - pad + s, c) w(k,r,s,c)
//   y(n,i,j,k) = f( max_{a,b < pool} z(n, i*pool + a, j*pool + b, k) )
//
// Layouts: x (N,H,W,C), w (K,R,S,C), z (N,P,Q,K), y (N,P/pool,Q/pool,K); the names are cuDNN's and
// CUTLASS's. Rows and columns of z that fill no whole pooling window are dropped (floor).
//
// A transposed convolution has no kernels of its own. For the convolution that maps its output to
// its input, its forward pass is dgrad, its input gradient fprop, its weight gradient wgrad with x
// and dy exchanged.
//
// T is float, double or bf16. Beside bf16 activations (x, y, dy, dx) the parameters and their
// gradients (w, bias, dw, dbias) are float (Master), and so are all sums.
//
// Sizes are not checked here but in tensor/ops_conv.cpp.
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/bf16.h"
#include "kernels/runtime/context.h"

namespace assay {

/// Sizes of a convolution. H and W are those of x, before upsampling.
struct Conv2dShape {
  int N, H, W, C, K, R, S;
  int stride = 1, pad = 0;
  int upsample = 1;  ///< 1, 2 or 4

  ASSAY_HD constexpr int P() const { return (H * upsample + 2 * pad - R) / stride + 1; }
  ASSAY_HD constexpr int Q() const { return (W * upsample + 2 * pad - S) / stride + 1; }
  friend bool operator==(const Conv2dShape&, const Conv2dShape&) = default;
};

/// What is applied to z before it is written.
struct Conv2dEpilogue {
  Activation activation = Activation::none;
  float slope = 0;  ///< leaky_relu's slope below 0
  int pool = 1;     ///< side and stride of the max-pool: 1 (none), 2 or 4

  friend bool operator==(const Conv2dEpilogue&, const Conv2dEpilogue&) = default;
};

/// The backward passes' input: the output's gradient dy, and y and argmax of the forward pass. y
/// may be null when the activation is none, argmax when pool is 1. The gradient of z is
/// dz(n,p,q,k) = dy * f'(y) where (p,q) is the argmax of its window, else 0.
template <class T>
struct Conv2dGrad {
  const T* dy;
  const T* y = nullptr;
  const uint8_t* argmax = nullptr;
};

/// Writes y. `bias` (K) may be null. `argmax`, one byte per element of y, gets a*pool + b of the
/// first largest element of each window; it may be null, and is not written when pool is 1.
template <class T>
void conv2d_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Weights<Master<T>> w, const Master<T>* bias, T* y, uint8_t* argmax);
/// Overwrites dx (N,H,W,C) with dL/dx, summed over the copies that the upsampling makes of x.
template <class T>
void conv2d_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<T> g,
                  Weights<Master<T>> w, T* dx);
/// Overwrites dw (K,R,S,C) and dbias (K); dbias may be null.
template <class T>
void conv2d_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Conv2dGrad<T> g, Master<T>* dw, Master<T>* dbias);

/// conv2d_dgrad() and conv2d_wgrad() of one gradient: what both need of it is formed once.
template <class T>
void conv2d_bprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Conv2dGrad<T> g, Weights<Master<T>> w, T* dx, Master<T>* dw, Master<T>* dbias);

/// The passes; conv2d_algorithm() (kernels/conv2d/algorithm.h) says which algorithm one runs.
enum class ConvPass : uint8_t { fprop, dgrad, wgrad };

/// 2 N P Q K R S C, a multiply-add counting as two, for each of fprop, dgrad and wgrad.
int64_t conv2d_flops(const Conv2dShape& s);
/// Bytes that fprop must move at least in fp32: x, w and bias read once, y and argmax written once.
int64_t conv2d_min_bytes(const Conv2dShape& s, const Conv2dEpilogue& e);

}  // namespace assay
