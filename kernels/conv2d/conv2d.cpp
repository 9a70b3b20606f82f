#include "kernels/conv2d/conv2d.h"

#include "kernels/conv2d/conv2d_backends.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/runtime/dispatch.h"

namespace assay {

template <class T>
void conv2d_fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Weights<T> w, const T* bias, T* y, uint8_t* argmax) {
  ASSAY_DISPATCH(T, ctx, conv2d_fprop, s, e, x, w, bias, y, argmax);
}

template <class T>
void conv2d_dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<T> g,
                  Weights<T> w, T* dx) {
  ASSAY_DISPATCH(T, ctx, conv2d_dgrad, s, e, g, w, dx);
}

template <class T>
void conv2d_wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const T* x,
                  Conv2dGrad<T> g, T* dw, T* dbias) {
  ASSAY_DISPATCH(T, ctx, conv2d_wgrad, s, e, x, g, dw, dbias);
}

ConvAlgo conv2d_rung(const Context& ctx, ConvPass pass, const Conv2dShape& s,
                     const Conv2dEpilogue& e) {
#if ASSAY_HAVE_CUDA
  if (ctx.device.is_cuda()) return cuda::conv2d_rung(ctx, pass, s, e);
#endif
  return cpu::conv2d_rung(ctx, pass, s, e);
}

int64_t conv2d_flops(const Conv2dShape& s) {
  return int64_t{2} * s.N * s.P() * s.Q() * s.K * s.R * s.S * s.C;
}

int64_t conv2d_least_bytes(const Conv2dShape& s, const Conv2dEpilogue& e) {
  const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
  const int64_t floats = int64_t{s.N} * s.H * s.W * s.C + int64_t{s.K} * s.R * s.S * s.C + s.K;
  return 4 * (floats + outputs) + (e.pool > 1 ? outputs : 0);
}

#define ASSAY_INSTANTIATE(T)                                                                   \
  template void conv2d_fprop<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&, const T*, \
                                Weights<T>, const T*, T*, uint8_t*);                           \
  template void conv2d_dgrad<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&,           \
                                Conv2dGrad<T>, Weights<T>, T*);                                \
  template void conv2d_wgrad<T>(Context&, const Conv2dShape&, const Conv2dEpilogue&, const T*, \
                                Conv2dGrad<T>, T*, T*);
ASSAY_INSTANTIATE(float)
ASSAY_INSTANTIATE(double)

}  // namespace assay
