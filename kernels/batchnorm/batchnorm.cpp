#include "kernels/batchnorm/batchnorm.h"

#include "kernels/batchnorm/batchnorm_backends.h"
#include "kernels/batchnorm/batchnorm_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

template <class T>
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormTraining<T>& t) {
  ASSAY_CHECK(s.rows >= 2 && s.C >= 1,
              "batchnorm: training needs at least 2 rows and 1 channel, x is ({},{})", s.rows, s.C);
  ASSAY_DISPATCH(T, ctx, batchnorm_training, s, o, t);
}

template <class T>
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const BatchNormInference<T>& t) {
  ASSAY_DISPATCH(T, ctx, batchnorm_inference, s, o, t);
}

template <class T>
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormBackward<T>& t) {
  ASSAY_DISPATCH(T, ctx, batchnorm_backward, s, o, t);
}

ASSAY_INSTANTIATE_BATCHNORM(float);
ASSAY_INSTANTIATE_BATCHNORM(double);
ASSAY_INSTANTIATE_BATCHNORM(bf16);

}  // namespace assay
