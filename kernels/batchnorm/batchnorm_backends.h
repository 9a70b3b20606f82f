// The implementations behind batchnorm.h; the dispatch in batchnorm.cpp picks one.
#pragma once

#include "kernels/batchnorm/batchnorm.h"

#define ASSAY_BATCHNORM_BACKEND                                                              \
  void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,  \
                          const BatchNormTraining<float>& t);                                \
  void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o, \
                           const BatchNormInference<float>& t);                              \
  void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,  \
                          const BatchNormBackward<float>& t);

namespace assay {
namespace cpu {
ASSAY_BATCHNORM_BACKEND
}
namespace cuda {
ASSAY_BATCHNORM_BACKEND
}
}  // namespace assay
#undef ASSAY_BATCHNORM_BACKEND
