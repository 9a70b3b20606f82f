// The implementations behind batchnorm.h; the dispatch in batchnorm.cpp picks one.
#pragma once

#include "kernels/batchnorm/batchnorm.h"

namespace assay {
namespace cpu {
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const float* x, const float* gamma, const float* beta, float* y,
                        float* mean, float* rstd, float* running_mean, float* running_var);
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const float* x, const float* gamma, const float* beta,
                         const float* running_mean, const float* running_var, float* y);
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const float* x, const float* y, const float* dy, const float* gamma,
                        const float* mean, const float* rstd, float* dx, float* dgamma,
                        float* dbeta);
}  // namespace cpu

namespace cuda {
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const float* x, const float* gamma, const float* beta, float* y,
                        float* mean, float* rstd, float* running_mean, float* running_var);
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const float* x, const float* gamma, const float* beta,
                         const float* running_mean, const float* running_var, float* y);
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const float* x, const float* y, const float* dy, const float* gamma,
                        const float* mean, const float* rstd, float* dx, float* dgamma,
                        float* dbeta);
}  // namespace cuda
}  // namespace assay
