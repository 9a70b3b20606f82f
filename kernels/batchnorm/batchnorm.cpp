#include "kernels/batchnorm/batchnorm.h"

#include "kernels/batchnorm/batchnorm_backends.h"
#include "kernels/batchnorm/batchnorm_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

template <class T>
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const T* x, const T* gamma, const T* beta, T* y, T* mean, T* rstd,
                        T* running_mean, T* running_var) {
  ASSAY_CHECK(s.rows >= 2 && s.C >= 1,
              "batchnorm: training needs at least 2 rows and 1 channel, x is ({},{})", s.rows, s.C);
  ASSAY_DISPATCH(T, ctx, batchnorm_training, s, o, x, gamma, beta, y, mean, rstd, running_mean,
                 running_var);
}

template <class T>
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const T* x, const T* gamma, const T* beta, const T* running_mean,
                         const T* running_var, T* y) {
  ASSAY_DISPATCH(T, ctx, batchnorm_inference, s, o, x, gamma, beta, running_mean, running_var, y);
}

template <class T>
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const T* x, const T* y, const T* dy, const T* gamma, const T* mean,
                        const T* rstd, T* dx, T* dgamma, T* dbeta) {
  ASSAY_DISPATCH(T, ctx, batchnorm_backward, s, o, x, y, dy, gamma, mean, rstd, dx, dgamma, dbeta);
}

#define ASSAY_INSTANTIATE(T)                                                                    \
  template void batchnorm_training(                                                             \
      Context& ctx, const BatchNormShape& s, const BatchNormOptions& o, const T* x,             \
      const T* gamma, const T* beta, T* y, T* mean, T* rstd, T* running_mean, T* running_var);  \
  template void batchnorm_inference(                                                            \
      Context& ctx, const BatchNormShape& s, const BatchNormOptions& o, const T* x,             \
      const T* gamma, const T* beta, const T* running_mean, const T* running_var, T* y);        \
  template void batchnorm_backward(                                                             \
      Context& ctx, const BatchNormShape& s, const BatchNormOptions& o, const T* x, const T* y, \
      const T* dy, const T* gamma, const T* mean, const T* rstd, T* dx, T* dgamma, T* dbeta)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
#undef ASSAY_INSTANTIATE

}  // namespace assay
