#include "kernels/gemm/gemm.h"

#include <type_traits>

#include "kernels/gemm/algorithm.h"
#include "kernels/gemm/gemm_ref.h"
#include "kernels/pointwise/fp32_edges.h"
#include "kernels/runtime/error.h"

namespace assay {

std::span<const GemmAlgorithm> gemm_algorithms(Device device) {
#if ASSAY_HAVE_CUDA
  if (device.is_cuda()) return cuda::gemm_table();
#endif
  static_cast<void>(device);
  return cpu::gemm_table();
}

const GemmAlgorithm& gemm_algorithm(const Context& ctx, const GemmShape& s) {
  return select_algorithm(
      gemm_algorithms(ctx.device), ctx.algorithm, [&](const GemmAlgorithm& row) {
        return row.is_bf16() ? Coverage::no("for bfloat16 tensors alone") : row.covers(ctx, s);
      });
}

const GemmAlgorithm* gemm_bf16_algorithm(const Context& ctx, const GemmShape& s) {
  for (const GemmAlgorithm& row : gemm_algorithms(ctx.device))
    if (row.is_bf16() && takes_bf16(ctx, row.algo, row.bf16_covers(ctx, s))) return &row;
  return nullptr;
}

template <class T>
void gemm(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const T* a, Weights<Master<T>> b,
          const Master<T>* bias, T* c) {
  ASSAY_CHECK(!e.accumulate || e.activation == Activation::none,
              "gemm: accumulate and an activation do not go together");
  if constexpr (std::is_same_v<T, double>) {
    ref::gemm(s, e, a, b, bias, c);
  } else if constexpr (std::is_same_v<T, bf16>) {
    ASSAY_CHECK(!e.accumulate, "gemm: accumulate would round to bfloat16 at every call");
    const GemmAlgorithm* row = s.transpose_a ? nullptr : gemm_bf16_algorithm(ctx, s);
    if (row != nullptr) return row->bf16_product(ctx, s, e, a, b, bias, c);
    Fp32Edges edges(ctx);
    gemm<float>(ctx, s, e, edges.in(a, int64_t{s.M} * s.K), b, bias,
                edges.out(c, int64_t{s.M} * s.N));
    edges.finish();
  } else {
    gemm_algorithm(ctx, s).product(ctx, s, e, a, b, bias, c);
  }
}

template <class T>
void gemm_wgrad(Context& ctx, const GemmShape& s, const T* a, const T* b, Master<T>* c) {
  ASSAY_CHECK(s.transpose_a && !s.transpose_b, "gemm_wgrad: wants A transposed, and B not");
  if constexpr (std::is_same_v<T, bf16>) {
    if (const GemmAlgorithm* row = gemm_bf16_algorithm(ctx, s))
      return row->bf16_wgrad(ctx, s, a, b, c);
    Fp32Edges edges(ctx);
    gemm<float>(ctx, s, {}, edges.in(a, int64_t{s.M} * s.K), edges.in(b, int64_t{s.N} * s.K),
                nullptr, c);
  } else {
    gemm<T>(ctx, s, {}, a, b, nullptr, c);
  }
}

#define ASSAY_INSTANTIATE(T)                                                       \
  template void gemm<T>(Context&, const GemmShape&, const GemmEpilogue&, const T*, \
                        Weights<Master<T>>, const Master<T>*, T*);                 \
  template void gemm_wgrad<T>(Context&, const GemmShape&, const T*, const T*, Master<T>*)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
ASSAY_INSTANTIATE(bf16);
#undef ASSAY_INSTANTIATE

int64_t gemm_flops(const GemmShape& s) {
  return int64_t{2} * s.M * s.N * s.K;
}

}  // namespace assay
