// Version 4: the copies run ahead of the multiply-adds (pipeline.cuh).
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/pipeline_wgrad.cuh"
#include "kernels/gemm/cuda/fma_tile.cuh"

namespace assay::cuda::pipelined {

Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  return pipeline_covers(pass, s, e);
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           const float* w, const float* bias, float* y, uint8_t* argmax) {
  pipeline_fprop<FmaTile<128, 64, true, true>, FmaTile<64, 32, true, true>>(ctx, s, e, x, w, bias,
                                                                            y, argmax);
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           const float* w, float* dx) {
  pipeline_dgrad<FmaTile<128, 64, true, true>, FmaTile<64, 32, true, true>>(ctx, s, e, g, w, dx);
}

bool wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  return pipeline_wgrad<FmaTile<64, 128, false, false>, FmaTile<32, 64, false, false>>(
      ctx, s, e, x, g, dw, dbias);
}

}  // namespace assay::cuda::pipelined
