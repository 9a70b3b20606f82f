// Version 4: the pipeline of version 3, with the products on the tensor cores (mma_tile.cuh) in the
// precision of the context: TF32, three TF32 products, or bfloat16. Sums are fp32.
#include <type_traits>

#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/pipeline_wgrad.cuh"
#include "kernels/gemm/cuda/mma_tile.cuh"

namespace assay::cuda {
template <int kM, int kN, bool kADepth, bool kBDepth, int kWarps>
constexpr bool kHasRegistersForBias<MmaTile<Tf32x3, kM, kN, kADepth, kBDepth, kWarps>> = false;
}  // namespace assay::cuda

namespace assay::cuda::tensor_core {
namespace {

/// Calls f.operator()<Math>() for the context's precision.
template <class F>
void with_math(const Context& ctx, const F& f) {
  switch (ctx.precision) {
    case Precision::tf32x3:
      return f.template operator()<Tf32x3>();
    case Precision::bf16:
      return f.template operator()<Bf16>();
    default:
      return f.template operator()<Tf32>();
  }
}

/// Tiles of fprop and dgrad.
template <class Math>
using Large = MmaTile<Math, 128, 64, true, true>;
template <class Math>
using Small = MmaTile<Math, 64, 32, true, true>;

/// dz that is formed goes through registers on its way to shared memory, where TF32 rounds it once.
template <class Math>
using BehindMath = std::conditional_t<std::is_same_v<Math, Tf32>, RoundedTf32, Math>;
/// tf32x3 needs registers for its products beside the sums: with dz a large tile would spill.
template <class Math>
using LargeBehind =
    std::conditional_t<std::is_same_v<Math, Tf32x3>, Small<Math>, Large<BehindMath<Math>>>;

}  // namespace

Coverage covers(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (ctx.precision == Precision::fp32 || ctx.precision == Precision::fp32_strict)
    return Coverage::no("tensor cores have no fp32");
  return pipeline_covers(pass, s, e);
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           const float* w, const float* bias, float* y, uint8_t* argmax) {
  with_math(ctx, [&]<class Math>() {
    pipeline_fprop<Large<Math>, Small<Math>>(ctx, s, e, x, w, bias, y, argmax);
  });
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           const float* w, float* dx) {
  with_math(ctx, [&]<class Math>() {
    pipeline_dgrad<Large<Math>, Small<Math>, LargeBehind<Math>, Small<BehindMath<Math>>>(ctx, s, e,
                                                                                         g, w, dx);
  });
}

bool wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float* dbias) {
  bool has_dbias = false;
  with_math(ctx, [&]<class Math>() {
    has_dbias =
        pipeline_wgrad<MmaTile<Math, 64, 128, false, false>, MmaTile<Math, 32, 64, false, false>>(
            ctx, s, e, x, g, dw, dbias);
  });
  return has_dbias;
}

}  // namespace assay::cuda::tensor_core
