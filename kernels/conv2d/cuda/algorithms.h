// The CUDA algorithms, which the table in dispatch.cu lists. Each is in the file of its name,
// `direct` in few_channels.cu and few_channels_wgrad.cu.
//
// wgrad tells whether it has written dbias too (if that is not null). Otherwise the caller forms it
// as a column sum over dy f'(y).
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/runtime/algorithm_table.h"

#define ASSAY_CONV2D_ALGORITHM                                                                    \
  Coverage covers(const Context&, ConvPass, const Conv2dShape&, const Conv2dEpilogue&);           \
  void fprop(Context&, const Conv2dShape&, const Conv2dEpilogue&, const float* x, const float* w, \
             const float* bias, float* y, uint8_t* argmax);                                       \
  void dgrad(Context&, const Conv2dShape&, const Conv2dEpilogue&, Conv2dGrad<float>,              \
             const float* w, float* dx);                                                          \
  bool wgrad(Context&, const Conv2dShape&, const Conv2dEpilogue&, const float* x,                 \
             Conv2dGrad<float>, float* dw, float* dbias);

namespace assay::cuda {
namespace naive {
ASSAY_CONV2D_ALGORITHM
}
namespace tiled {
ASSAY_CONV2D_ALGORITHM
}
namespace pipelined {
ASSAY_CONV2D_ALGORITHM
}
namespace tensor_core {
ASSAY_CONV2D_ALGORITHM
}
/// fprop and dgrad alone.
namespace hopper {
ASSAY_CONV2D_ALGORITHM
}
namespace direct {
ASSAY_CONV2D_ALGORITHM
}
}  // namespace assay::cuda
#undef ASSAY_CONV2D_ALGORITHM
