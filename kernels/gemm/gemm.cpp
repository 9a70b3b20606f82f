#include "kernels/gemm/gemm.h"

#include <type_traits>

#include "kernels/gemm/algorithm.h"
#include "kernels/gemm/gemm_ref.h"
#include "kernels/runtime/error.h"

namespace assay {

std::span<const GemmAlgorithm> gemm_algorithms(Device device) {
#if ASSAY_HAVE_CUDA
  if (device.is_cuda()) return cuda::gemm_table();
#endif
  static_cast<void>(device);
  return cpu::gemm_table();
}

const GemmAlgorithm& gemm_algorithm(const Context& ctx) {
  return select_algorithm(gemm_algorithms(ctx.device), ctx.algorithm,
                          [&](const GemmAlgorithm& row) { return row.covers(ctx); });
}

template <class T>
void gemm(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const T* a, Weights<T> b,
          const T* bias, T* c) {
  ASSAY_CHECK(!e.accumulate || e.activation == Activation::none,
              "gemm: accumulate and an activation do not go together");
  if constexpr (std::is_same_v<T, double>)
    ref::gemm(s, e, a, b, bias, c);
  else
    gemm_algorithm(ctx).product(ctx, s, e, a, b, bias, c);
}

template void gemm<float>(Context&, const GemmShape&, const GemmEpilogue&, const float*,
                          Weights<float>, const float*, float*);
template void gemm<double>(Context&, const GemmShape&, const GemmEpilogue&, const double*,
                           Weights<double>, const double*, double*);

int64_t gemm_flops(const GemmShape& s) {
  return int64_t{2} * s.M * s.N * s.K;
}

}  // namespace assay
