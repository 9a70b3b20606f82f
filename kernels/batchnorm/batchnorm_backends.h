// The implementations behind batchnorm.h; the dispatch in batchnorm.cpp picks one.
#pragma once

#include "kernels/batchnorm/batchnorm.h"

namespace assay {
/// T is float or bf16.
namespace cpu {
template <class T>
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormTraining<T>& t);
template <class T>
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const BatchNormInference<T>& t);
template <class T>
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormBackward<T>& t);
}  // namespace cpu
namespace cuda {
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormTraining<float>& t);
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const BatchNormInference<float>& t);
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormBackward<float>& t);
}  // namespace cuda
}  // namespace assay
