// The definition of the matrix product: plain loops in the order of the formula of gemm.h.
#pragma once

#include <cstdint>

#include "kernels/gemm/gemm.h"

namespace assay::ref {

template <class T>
void gemm(const GemmShape& s, const GemmEpilogue& e, const T* a, Weights<T> b, const T* bias,
          T* c) {
  for (int64_t m = 0; m < s.M; ++m)
    for (int64_t n = 0; n < s.N; ++n) {
      T sum = bias != nullptr ? bias[n] : T{};
      for (int64_t k = 0; k < s.K; ++k)
        sum += (s.transpose_a ? a[k * s.M + m] : a[m * s.K + k]) *
               (s.transpose_b ? b.data[n * s.K + k] : b.data[k * s.N + n]);
      T& out = c[m * s.N + n];
      out = e.accumulate ? out + sum : activate(e.activation, static_cast<T>(e.slope), sum);
    }
}

}  // namespace assay::ref
