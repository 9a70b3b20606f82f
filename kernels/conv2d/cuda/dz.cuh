// dz, the gradient of z, formed from what the backward passes are given; it is never stored whole.
//
//        dy, y, argmax                        dz
//     +-------+-------+          +-------+-------+   A window of z passes the gradient of its y
//     | dy0,1 | dy1,3 |    ->    | 0  d0 | 0   0 |   to the one place that argmax names,
//     +-------+-------+          | 0  0  | 0  d1 |   d = dy f'(y); everything else is 0.
//                                +-------+-------+
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

struct GradientOfZ {
  const float* dy;
  const float* y;         // null when activation is none
  const uint8_t* argmax;  // null when pool is 1
  Activation activation;
  float slope;
  int pool, pool_log2;   // pool is 1, 2 or 4
  int rows, columns, K;  // dy is (N,rows,columns,K)

  GradientOfZ(const Conv2dShape& s, const Conv2dEpilogue& e, const Conv2dGrad<float>& g)
      : dy(g.dy),
        y(e.activation == Activation::none ? nullptr : g.y),
        argmax(e.pool == 1 ? nullptr : g.argmax),
        activation(e.activation),
        slope(e.slope),
        pool(e.pool),
        pool_log2(e.pool / 2),
        rows(s.P() / e.pool),
        columns(s.Q() / e.pool),
        K(s.K) {}

  /// dy f'(y) at element i of y.
  __device__ float behind_pool(int64_t i) const {
    return y != nullptr ? dy[i] * activation_slope(activation, slope, y[i]) : dy[i];
  }
  /// dz at one place of the window of y's pixel `pixel`.
  __device__ float in_window(int64_t pixel, int place, int k) const {
    const int64_t at = pixel * K + k;
    return argmax == nullptr || argmax[at] == place ? behind_pool(at) : 0.0f;
  }
  __device__ int place(int p, int q) const { return (p & (pool - 1)) * pool + (q & (pool - 1)); }
  /// dz(n,p,q,k), 0 outside; rows and columns that fill no window get 0.
  __device__ float operator()(int64_t n, int p, int q, int k) const {
    const int i = p >> pool_log2, j = q >> pool_log2;
    if (p < 0 || q < 0 || i >= rows || j >= columns) return 0;
    return in_window((n * rows + i) * columns + j, place(p, q), k);
  }
};

/// Nothing to be done to dy.
inline bool dz_is_dy(const Conv2dEpilogue& e) {
  return e.pool == 1 && e.activation == Activation::none;
}

}  // namespace assay::cuda
