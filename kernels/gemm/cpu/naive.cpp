// The sum of gemm.h as plain loops, one result after the other. A task is a row of results.
#include "kernels/gemm/cpu/algorithms.h"

namespace assay::cpu {

void gemm_naive(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a,
                Weights<float> b, const float* bias, float* c) {
  parallel_for(ctx, s.M, [&](int64_t m) {
    for (int64_t n = 0; n < s.N; ++n) {
      float sum = bias != nullptr ? bias[n] : 0;
      for (int64_t k = 0; k < s.K; ++k)
        sum += (s.transpose_a ? a[k * s.M + m] : a[m * s.K + k]) *
               (s.transpose_b ? b.data[n * s.K + k] : b.data[k * s.N + n]);
      float& out = c[m * s.N + n];
      out = e.accumulate ? out + sum : activate(e.activation, e.slope, sum);
    }
  });
}

}  // namespace assay::cpu
