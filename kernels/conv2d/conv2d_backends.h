// The float versions behind the templates of conv2d.h.
#pragma once

#include "kernels/conv2d/conv2d.h"

#define ASSAY_CONV2D_BACKEND                                                                \
  void conv2d_fprop(Context&, const Conv2dShape&, const Conv2dEpilogue&, const float* x,    \
                    Weights<float> w, const float* bias, float* y, uint8_t* argmax);        \
  void conv2d_dgrad(Context&, const Conv2dShape&, const Conv2dEpilogue&, Conv2dGrad<float>, \
                    Weights<float> w, float* dx);                                           \
  void conv2d_wgrad(Context&, const Conv2dShape&, const Conv2dEpilogue&, const float* x,    \
                    Conv2dGrad<float>, float* dw, float* dbias);                            \
  ConvAlgo conv2d_rung(const Context&, ConvPass, const Conv2dShape&, const Conv2dEpilogue&);

namespace assay {
namespace cpu {
ASSAY_CONV2D_BACKEND
}
namespace cuda {
ASSAY_CONV2D_BACKEND
}
}  // namespace assay
#undef ASSAY_CONV2D_BACKEND
