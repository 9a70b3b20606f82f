// dz, the gradient of z, formed from dy, y and argmax where it is read; it is never stored whole.
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

/// f'(z) from y = f(z) without a branch, so that the loads of neighbouring elements are issued
/// together: by the sign of y, or c0 + y (c1 + c2 y). Bit for bit equal to activation_slope().
struct SlopeOfY {
  uint32_t by_sign = ~0u;  // mask: all bits if the sign of y decides, else none
  float below = 1;         // f' for y <= 0
  float c0 = 0, c1 = 0, c2 = 0;

  SlopeOfY(Activation activation, float slope) {
    switch (activation) {
      case Activation::none:
        return;
      case Activation::relu:
        below = 0;
        return;
      case Activation::leaky_relu:
        below = slope;
        return;
      case Activation::sigmoid:  // y (1 - y)
        use(0, 1, -1);
        return;
      case Activation::tanh:  // 1 - y y
        use(1, 0, -1);
        return;
    }
  }
  /// f' of an activation whose slope follows from the sign of y; cheaper than operator().
  __device__ float from_sign(float y) const { return y > 0.0f ? 1.0f : below; }
  __device__ float operator()(float y) const {
    const uint32_t by_the_sign = __float_as_uint(from_sign(y));
    const uint32_t smooth = __float_as_uint(fmaf(y, fmaf(c2, y, c1), c0));
    return __uint_as_float((by_the_sign & by_sign) | (smooth & ~by_sign));
  }

 private:
  void use(float a, float b, float c) {
    by_sign = 0;
    c0 = a;
    c1 = b;
    c2 = c;
  }
};

template <class T>
struct GradientOfZFrom {
  const T* dy;
  const T* y;             // dy when activation is none, whose slope ignores it
  const uint8_t* argmax;  // null when pool is 1
  SlopeOfY slope;
  int pool, pool_log2;   // pool is 1, 2 or 4
  int rows, columns, K;  // dy is (N,rows,columns,K)

  GradientOfZFrom(const Conv2dShape& s, const Conv2dEpilogue& e, const Conv2dGrad<T>& g)
      : dy(g.dy),
        y(e.activation == Activation::none ? g.dy : g.y),
        argmax(e.pool == 1 ? nullptr : g.argmax),
        slope(e.activation, e.slope),
        pool(e.pool),
        pool_log2(e.pool / 2),
        rows(s.P() / e.pool),
        columns(s.Q() / e.pool),
        K(s.K) {}

  /// dy f'(y) at element i of y.
  __device__ float behind_pool(int64_t i) const {
    return static_cast<float>(dy[i]) * slope(static_cast<float>(y[i]));
  }
  /// dz at one place of the window of element i of y.
  __device__ float element(int64_t i, int place) const {
    return argmax == nullptr || argmax[i] == place ? behind_pool(i) : 0.0f;
  }
  /// dz at one place of the window of y's pixel `pixel`.
  __device__ float in_window(int64_t pixel, int place, int k) const {
    return element(pixel * K + k, place);
  }
  __device__ int place(int p, int q) const { return (p & (pool - 1)) * pool + (q & (pool - 1)); }
  /// dz(n,p,q,k), 0 outside; rows and columns that fill no window get 0.
  __device__ float operator()(int64_t n, int p, int q, int k) const {
    const int i = p >> pool_log2, j = q >> pool_log2;
    if (p < 0 || q < 0 || i >= rows || j >= columns) return 0;
    return in_window((n * rows + i) * columns + j, place(p, q), k);
  }
};

using GradientOfZ = GradientOfZFrom<float>;

/// Whether f' follows from the sign of y, so that SlopeOfY::from_sign() suffices.
inline bool slope_from_sign(Activation a) {
  return SlopeOfY(a, 1).by_sign != 0;
}

/// Whether dz equals dy: no activation and no pool.
inline bool dz_is_dy(const Conv2dEpilogue& e) {
  return e.pool == 1 && e.activation == Activation::none;
}

}  // namespace assay::cuda
