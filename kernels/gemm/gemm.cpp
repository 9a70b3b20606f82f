#include "kernels/gemm/gemm.h"

#include "kernels/gemm/gemm_backends.h"
#include "kernels/gemm/gemm_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

template <class T>
void gemm(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const T* a, Weights<T> b,
          const T* bias, T* c) {
  ASSAY_CHECK(!e.accumulate || e.activation == Activation::none,
              "gemm: accumulate and an activation do not go together");
  ASSAY_DISPATCH(T, ctx, gemm, s, e, a, b, bias, c);
}

template void gemm<float>(Context&, const GemmShape&, const GemmEpilogue&, const float*,
                          Weights<float>, const float*, float*);
template void gemm<double>(Context&, const GemmShape&, const GemmEpilogue&, const double*,
                           Weights<double>, const double*, double*);

int64_t gemm_flops(const GemmShape& s) {
  return int64_t{2} * s.M * s.N * s.K;
}

}  // namespace assay
