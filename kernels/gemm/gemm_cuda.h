// The rungs of the matrix product on CUDA devices. All of them compute gemm.h's formula for any
// shape; gemm_cuda.cu picks one.
#pragma once

#include "kernels/gemm/gemm.h"

namespace assay::cuda {

/// The operands of one product, as kernels get them.
struct GemmProblem {
  GemmShape s;
  GemmEpilogue e;
  const float* a;
  const float* b;
  const float* bias;  // null: none
  float* c;
};

/// The rung that a call with this context runs: ctx.conv where it names one of this ladder, else by
/// the precision.
ConvAlgo gemm_rung(const Context& ctx);

/// One thread per element of C.
void gemm_naive(Context& ctx, const GemmProblem& p);
/// Tiles of 64 x 64 in shared memory, 4 x 4 results in the registers of a thread.
void gemm_tiled(Context& ctx, const GemmProblem& p);
/// cp.async in three stages, 8 x 8 results in registers, split over k where C is small.
void gemm_pipelined(Context& ctx, const GemmProblem& p);
/// The same with mma.sync; ctx.precision is tf32, tf32x3 or bf16.
void gemm_tensor_core(Context& ctx, const GemmProblem& p);

/// Into how many parts the pipelined rungs cut the sum over k: by the shape alone.
int gemm_splits(const GemmShape& s);

}  // namespace assay::cuda
