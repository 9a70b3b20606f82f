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

/// One thread per element of C.
void gemm_naive(Context& ctx, const GemmProblem& p);

}  // namespace assay::cuda
