// Helpers of the *_formula.h files, whose formulas serve the reference, the CPU and CUDA.
#pragma once

#include <math.h>

#include "kernels/runtime/device.h"

// Always inlined, because the *_simd.cpp files use formulas too: an inline function that is not
// inlined in one of them would be linked into the whole program (see simd.h).
#define ASSAY_FORMULA ASSAY_HD inline __attribute__((always_inline))

namespace assay {

ASSAY_FORMULA float square_root(float x) {
  return sqrtf(x);
}
ASSAY_FORMULA double square_root(double x) {
  return sqrt(x);
}

}  // namespace assay
