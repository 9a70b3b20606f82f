// The compiler vectorises these loops, because the arrays do not overlap and the one branch of a
// formula (eps_inside) is constant in the loop.
#include "kernels/optim/optim_simd.h"

#include "kernels/runtime/simd.h"

namespace assay::cpu::ASSAY_ISA {

void rmsprop_update(const RmspropFormula<float>& formula, int64_t n, const float* __restrict dw,
                    float* __restrict w, float* __restrict v) {
  const RmspropFormula<float> f = formula;
  for (int64_t i = 0; i < n; ++i) f.update(dw[i], w[i], v[i]);
}

void adam_update(const AdamFormula<float>& formula, int64_t n, const float* __restrict dw,
                 float* __restrict w, float* __restrict m, float* __restrict v) {
  const AdamFormula<float> f = formula;
  for (int64_t i = 0; i < n; ++i) f.update(dw[i], w[i], m[i], v[i]);
}

}  // namespace assay::cpu::ASSAY_ISA
