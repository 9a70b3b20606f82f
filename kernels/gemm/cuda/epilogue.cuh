// Bias, activation and store of a sum of products, for every version.
#pragma once

#include "kernels/gemm/cuda/algorithms.h"
#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

template <class C>
__device__ __forceinline__ void store_result(const GemmProblemInto<C>& p, int64_t m, int n,
                                             float sum) {
  if (p.bias != nullptr) sum += p.bias[n];
  C& c = p.c[m * p.s.N + n];
  c = static_cast<C>(p.e.accumulate ? static_cast<float>(c) + sum
                                    : activate(p.e.activation, p.e.slope, sum));
}

}  // namespace assay::cuda
