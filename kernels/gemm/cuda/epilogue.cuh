// Bias, activation and store of a sum of products, for every version.
#pragma once

#include "kernels/gemm/cuda/algorithms.h"
#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

__device__ __forceinline__ void store_result(const GemmProblem& p, int64_t m, int n, float sum) {
  if (p.bias != nullptr) sum += p.bias[n];
  float& c = p.c[m * p.s.N + n];
  c = p.e.accumulate ? c + sum : activate(p.e.activation, p.e.slope, sum);
}

}  // namespace assay::cuda
