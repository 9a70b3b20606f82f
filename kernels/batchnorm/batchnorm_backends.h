// The implementations behind batchnorm.h; the dispatch in batchnorm.cpp picks one.
#pragma once

#include "kernels/batchnorm/batchnorm.h"

/// The templates of this family for elements T; stands at the end of a backend's file.
#define ASSAY_INSTANTIATE_BATCHNORM(T)                                                        \
  template void batchnorm_training(Context&, const BatchNormShape&, const BatchNormOptions&,  \
                                   const BatchNormTraining<T>&);                              \
  template void batchnorm_inference(Context&, const BatchNormShape&, const BatchNormOptions&, \
                                    const BatchNormInference<T>&);                            \
  template void batchnorm_backward(Context&, const BatchNormShape&, const BatchNormOptions&,  \
                                   const BatchNormBackward<T>&)

/// T is float or bf16.
#define ASSAY_BATCHNORM_BACKEND                                                              \
  template <class T>                                                                         \
  void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,  \
                          const BatchNormTraining<T>& t);                                    \
  template <class T>                                                                         \
  void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o, \
                           const BatchNormInference<T>& t);                                  \
  template <class T>                                                                         \
  void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,  \
                          const BatchNormBackward<T>& t);

namespace assay {
namespace cpu {
ASSAY_BATCHNORM_BACKEND
}
namespace cuda {
ASSAY_BATCHNORM_BACKEND
}
}  // namespace assay
#undef ASSAY_BATCHNORM_BACKEND
