// Matrix products of bf16 tensors by the tile instructions (kernels/runtime/tile_instructions.h):
// those of a dense layer. A row of A is the pixel of a 1x1 convolution, which
// kernels/conv2d/cpu/tiles computes. Sums are fp32; B, if it is weights, is rounded to bf16.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/runtime/algorithm_table.h"
#include "kernels/runtime/bf16.h"

namespace assay::cpu {

/// Whether tiles can compute gemm_tiles() and gemm_tiles_wgrad() of a shape, and whether they are
/// faster than fp32 with conversions.
Coverage gemm_tiles_covers(const GemmShape& s);

/// gemm() of gemm.h with A and C in bf16. A is not transposed, and `accumulate` is not set.
void gemm_tiles(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const bf16* a,
                Weights<float> b, const float* bias, bf16* c);
/// C (M,N) = the transpose of A (K,M) times B (K,N): a gradient of weights.
void gemm_tiles_wgrad(Context& ctx, const GemmShape& s, const bf16* a, const bf16* b, float* c);

}  // namespace assay::cpu
