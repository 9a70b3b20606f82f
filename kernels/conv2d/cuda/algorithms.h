// The rungs of the ladder as conv2d_cuda.cu calls them; each stands in the file of its name.
//
// wgrad does not include dbias: that is one column sum over dy f'(y), the same for every rung.
#pragma once

#include "kernels/conv2d/conv2d.h"

/// covers: whether the rung's kernels can do this pass at this precision.
#define ASSAY_CONV2D_RUNG                                                                         \
  bool covers(Precision, ConvPass, const Conv2dShape&, const Conv2dEpilogue&);                    \
  void fprop(Context&, const Conv2dShape&, const Conv2dEpilogue&, const float* x, const float* w, \
             const float* bias, float* y, uint8_t* argmax);                                       \
  void dgrad(Context&, const Conv2dShape&, const Conv2dEpilogue&, Conv2dGrad<float>,              \
             const float* w, float* dx);                                                          \
  void wgrad(Context&, const Conv2dShape&, const Conv2dEpilogue&, const float* x,                 \
             Conv2dGrad<float>, float* dw);

namespace assay::cuda {
namespace naive {
ASSAY_CONV2D_RUNG
}
namespace tiled {
ASSAY_CONV2D_RUNG
}
namespace pipelined {
ASSAY_CONV2D_RUNG
}
namespace tensor_core {
ASSAY_CONV2D_RUNG
}
namespace direct {
ASSAY_CONV2D_RUNG
}
}  // namespace assay::cuda
#undef ASSAY_CONV2D_RUNG
