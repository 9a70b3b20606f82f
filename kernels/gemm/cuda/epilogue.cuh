// Bias, activation and store of a sum of products, for every version.
#pragma once

#include "kernels/gemm/cuda/algorithms.h"
#include "kernels/runtime/cuda/elements.cuh"

namespace assay::cuda {

template <class C>
__device__ __forceinline__ void store_result(const GemmProblemInto<C>& p, int64_t m, int n,
                                             float sum) {
  if (p.bias != nullptr) sum += p.bias[n];
  C& c = p.c[m * p.s.N + n];
  c = static_cast<C>(p.e.accumulate ? static_cast<float>(c) + sum
                                    : activate(p.e.activation, p.e.slope, sum));
}

/// Of columns n and n + 1; N is even, and C lies at a multiple of two elements.
template <class C>
__device__ __forceinline__ void store_two_results(const GemmProblemInto<C>& p, int64_t m, int n,
                                                  float first, float second) {
  if (p.bias != nullptr) {
    first += p.bias[n];
    second += p.bias[n + 1];
  }
  C* c = p.c + m * p.s.N + n;
  if (p.e.accumulate) {
    const float2 before = load_2(c);
    store_2(c, before.x + first, before.y + second);
  } else {
    store_2(c, activate(p.e.activation, p.e.slope, first),
            activate(p.e.activation, p.e.slope, second));
  }
}

}  // namespace assay::cuda
