// Kernels that measure the peaks of this GPU.
#pragma once

#include "kernels/runtime/context.h"

namespace assay::bench {

/// Each queues one launch and returns its work: bytes read plus written, or FLOPs (a multiply-add
/// counts as two).
double copy_peak(Context& ctx, const void* from, void* to, int64_t bytes);
/// Chains of fp32 multiply-adds in registers, on all multiprocessors.
double fma_peak(Context& ctx, float* sink);
/// Products on the tensor cores from registers (mma.sync), TF32 or bfloat16.
double mma_peak(Context& ctx, bool bf16, float* sink);
/// TF32 products from shared memory (wgmma); for compute capability 9.0 only.
double wgmma_peak(Context& ctx, float* sink);

}  // namespace assay::bench
