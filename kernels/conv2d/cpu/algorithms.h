// The CPU's algorithms, which the table in dispatch.cpp lists. The passes are those of conv2d.h;
// covers() is described at Conv2dAlgorithm (kernels/conv2d/algorithm.h).
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/runtime/algorithm_table.h"

#define ASSAY_COVERS \
  Coverage covers(const Context&, ConvPass, const Conv2dShape& s, const Conv2dEpilogue& e);
#define ASSAY_FPROP                                                                       \
  void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x, \
             Weights<float> w, const float* bias, float* y, uint8_t* argmax);
#define ASSAY_DGRAD                                                                            \
  void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g, \
             Weights<float> w, float* dx);
#define ASSAY_WGRAD                                                                       \
  void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x, \
             Conv2dGrad<float> g, float* dw, float* dbias);

namespace assay::cpu {

/// Plain loops in the order of the formula: every shape.
namespace naive {
ASSAY_COVERS ASSAY_FPROP ASSAY_DGRAD ASSAY_WGRAD
}

/// im2col and a blocked matrix product, with z and dz stored whole: every shape.
namespace blocked {
ASSAY_COVERS ASSAY_FPROP ASSAY_DGRAD ASSAY_WGRAD
}

/// Implicit GEMM over staged row blocks with the epilogue in registers: every shape but an
/// upsampling together with a stride or a pool.
namespace fused {
ASSAY_COVERS ASSAY_FPROP ASSAY_DGRAD ASSAY_WGRAD
}

/// fprop of a 3x3 layer of one channel with a 2x2 pool behind it, filters in multiples of 16. A
/// tile of the general microkernel does nine steps there and pays for its start and end; Winograd
/// saves products but not the transform behind them.
namespace one_channel {
ASSAY_COVERS ASSAY_FPROP
}

/// wgrad of a pooled 3x3 layer. A window passes its gradient to one pixel of z, so three quarters
/// (pool 2) or 15/16 (pool 4) of a dense wgrad's products have a zero factor. They are skipped.
namespace pooled_wgrad {
ASSAY_COVERS ASSAY_WGRAD
}

/// 3x3 layers of few source channels by Winograd's F(4,3), fused: no planes of transformed patches
/// are written beyond the first-level cache.
namespace winograd_narrow {
ASSAY_COVERS ASSAY_FPROP ASSAY_DGRAD
}

/// 3x3 layers by Winograd's F(4,3), or F(3,2) behind an upsampling by 2. fprop and dgrad do not
/// depend on N: an image gets the same output in every batch.
namespace winograd {
ASSAY_COVERS ASSAY_FPROP ASSAY_DGRAD ASSAY_WGRAD
}

/// 4x4 layers of stride 2 by Winograd's F(4,2). A batch of one image runs `fused`, so its output
/// differs by rounding from the image's output in a larger batch.
namespace winograd_strided {
ASSAY_COVERS ASSAY_FPROP ASSAY_DGRAD ASSAY_WGRAD
}

}  // namespace assay::cpu

#undef ASSAY_COVERS
#undef ASSAY_FPROP
#undef ASSAY_DGRAD
#undef ASSAY_WGRAD
