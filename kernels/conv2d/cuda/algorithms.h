// The CUDA algorithms, which the table in dispatch.cu lists. Each is in the file of its name,
// `direct` in few_channels.cu and few_channels_wgrad.cu.
//
// wgrad tells whether it has written dbias too (if that is not null). Otherwise the caller forms it
// as a column sum over dy f'(y).
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/runtime/algorithm_table.h"

#define ASSAY_CONV2D_ALGORITHM_ON(T)                                                             \
  Coverage covers(const Context&, ConvPass, const Conv2dShape&, const Conv2dEpilogue&);          \
  void fprop(Context&, const Conv2dShape&, const Conv2dEpilogue&, const T* x, const float* w,    \
             const float* bias, T* y, uint8_t* argmax);                                          \
  void dgrad(Context&, const Conv2dShape&, const Conv2dEpilogue&, Conv2dGrad<T>, const float* w, \
             T* dx);                                                                             \
  bool wgrad(Context&, const Conv2dShape&, const Conv2dEpilogue&, const T* x, Conv2dGrad<T>,     \
             float* dw, float* dbias);
#define ASSAY_CONV2D_ALGORITHM ASSAY_CONV2D_ALGORITHM_ON(float)

namespace assay::cuda {
namespace naive {
ASSAY_CONV2D_ALGORITHM
}
namespace tiled {
ASSAY_CONV2D_ALGORITHM
}
namespace hoisted {
ASSAY_CONV2D_ALGORITHM
}
namespace pipelined {
ASSAY_CONV2D_ALGORITHM
}
namespace tensor_core {
ASSAY_CONV2D_ALGORITHM
namespace bf16_tensors {
ASSAY_CONV2D_ALGORITHM_ON(bf16)
}
}  // namespace tensor_core
/// fprop and dgrad alone.
namespace winograd {
ASSAY_CONV2D_ALGORITHM
}
/// Likewise.
namespace hopper {
ASSAY_CONV2D_ALGORITHM
namespace bf16_tensors {
ASSAY_CONV2D_ALGORITHM_ON(bf16)
}
}  // namespace hopper
namespace direct {
ASSAY_CONV2D_ALGORITHM
namespace bf16_tensors {
ASSAY_CONV2D_ALGORITHM_ON(bf16)
}
}  // namespace direct
}  // namespace assay::cuda
#undef ASSAY_CONV2D_ALGORITHM
#undef ASSAY_CONV2D_ALGORITHM_ON
