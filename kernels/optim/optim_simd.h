// The vector loops of optim_simd.cpp, once per instruction set, on one thread.
#pragma once

#include <cstdint>

#include "kernels/optim/optim_formula.h"
#include "kernels/runtime/isa.h"

namespace assay {

ASSAY_ISA_DECLARE(void rmsprop_update(const RmspropFormula<float>& formula, int64_t n,
                                      const float* dw, float* w, float* v);
                  void adam_update(const AdamFormula<float>& formula, int64_t n, const float* dw,
                                   float* w, float* m, float* v);)

}  // namespace assay
