// The float versions behind the template of gemm.h.
#pragma once

#include "kernels/gemm/gemm.h"

#define ASSAY_GEMM_BACKEND                                                                     \
  void gemm(Context&, const GemmShape&, const GemmEpilogue&, const float* a, Weights<float> b, \
            const float* bias, float* c);

namespace assay {
namespace cpu {
ASSAY_GEMM_BACKEND
}
namespace cuda {
ASSAY_GEMM_BACKEND
}
}  // namespace assay
#undef ASSAY_GEMM_BACKEND
