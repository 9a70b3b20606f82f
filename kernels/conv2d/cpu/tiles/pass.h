// A pass by tiles over packed panels, for fprop, dgrad and the matrix product (kernels/gemm).
#pragma once

#include "kernels/conv2d/cpu/tiles/plan.h"

namespace assay::cpu::tiles {

/// What a pass does to the sums, and where they go.
struct Output {
  const float* bias;  ///< (K), or null
  Conv2dEpilogue epilogue;
  bf16* out;          ///< (N, rows / pool, columns / pool, K)
  uint8_t* argmax;    ///< like out, or null
  int rows, columns;  ///< in whole pooling windows
};

/// The sums of a plan whose panels are packed (plan.h).
void run_pass(Context& ctx, const Plan& plan, const bf16* panels, const Source& source,
              const Output& output);

/// The panels of w in the context's cache of weights; `kind` tells plans of the same w apart.
const bf16* cached_panels(Context& ctx, const Conv2dShape& s, const Plan& plan, Weights<float> w,
                          const WeightStrides& strides, PackKind kind);

}  // namespace assay::cpu::tiles
