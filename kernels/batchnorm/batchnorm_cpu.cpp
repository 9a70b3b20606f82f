#include "kernels/batchnorm/batchnorm_backends.h"
#include "kernels/batchnorm/batchnorm_ref.h"

namespace assay::cpu {
void batchnorm_training(Context&, const BatchNormShape& s, const BatchNormOptions& o,
                        const float* x, const float* gamma, const float* beta, float* y,
                        float* mean, float* rstd, float* running_mean, float* running_var) {
  ref::batchnorm_training(s, o, x, gamma, beta, y, mean, rstd, running_mean, running_var);
}
void batchnorm_inference(Context&, const BatchNormShape& s, const BatchNormOptions& o,
                         const float* x, const float* gamma, const float* beta,
                         const float* running_mean, const float* running_var, float* y) {
  ref::batchnorm_inference(s, o, x, gamma, beta, running_mean, running_var, y);
}
void batchnorm_backward(Context&, const BatchNormShape& s, const BatchNormOptions& o,
                        const float* x, const float* y, const float* dy, const float* gamma,
                        const float* mean, const float* rstd, float* dx, float* dgamma,
                        float* dbeta) {
  ref::batchnorm_backward(s, o, x, y, dy, gamma, mean, rstd, dx, dgamma, dbeta);
}
}  // namespace assay::cpu
