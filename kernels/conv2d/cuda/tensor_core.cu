// Version 5: the pipeline of version 4, with the products on the tensor cores (mma_tile.cuh): TF32
// or three TF32 products of float tensors, as the precision says, or those of bf16 tensors. Sums
// are fp32.
#include <algorithm>
#include <type_traits>

#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/pipeline_wgrad.cuh"
#include "kernels/conv2d/lowering.h"
#include "kernels/gemm/cuda/mma_tile.cuh"

namespace assay::cuda {
template <int kM, int kN, bool kADepth, bool kBDepth, int kWarpsN, int kWarpsM, int kLine>
constexpr bool
    kHasRegistersForBias<MmaTile<Tf32x3, kM, kN, kADepth, kBDepth, kWarpsN, kWarpsM, kLine>> =
        false;
}  // namespace assay::cuda

namespace assay::cuda::tensor_core {
namespace {

/// Calls f.operator()<Math>() for the context's precision. Float tensors beside bf16 ones take
/// TF32.
template <class F>
void with_math(const Context& ctx, const F& f) {
  if (ctx.precision == Precision::tf32x3)
    f.template operator()<Tf32x3>();
  else
    f.template operator()<Tf32>();
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

namespace bf16_tensors {
namespace {

/// Four warps with 64 x 64 sums each. A warp with fewer reads shared memory so often that the
/// tensor cores wait. wgrad has half as many pixels in a stage, so that three stages fit
/// everywhere.
using Wide = MmaTile<Bf16, 128, 128, true, true>;
using WideWgrad = MmaTile<Bf16, 128, 128, false, false, 2, 2, 16>;
using LargeWgrad = MmaTile<Bf16, 64, 256, false, false, 4, 1, 16>;

}  // namespace

Coverage covers(const Context&, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  const Coverage coverage = pipeline_covers<bf16>(pass, s, e);
  if (!coverage.is_possible()) return coverage;
  if (std::min(s.C, s.K) <= 4)
    return Coverage::but_slower("at most 4 channels or filters: a tile would be mostly padding");
  if (lowering_of(s, e) == Lowering::gemm)
    return Coverage::but_slower("one product of matrices, which is split over its depth");
  return coverage;
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
           const float* w, const float* bias, bf16* y, uint8_t* argmax) {
  pipeline_fprop_bf16<Wide, Large<Bf16>, Small<Bf16>>(ctx, s, e, x, w, bias, y, argmax);
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<bf16> g,
           const float* w, bf16* dx) {
  pipeline_dgrad_bf16<Wide, Large<Bf16>, Small<Bf16>>(ctx, s, e, g, w, dx);
}

bool wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const bf16* x,
           Conv2dGrad<bf16> g, float* dw, float* dbias) {
  return pipeline_wgrad_bf16<WideWgrad, LargeWgrad, MmaTile<Bf16, 32, 64, false, false>>(
      ctx, s, e, x, g, dw, dbias);
}

}  // namespace bf16_tensors

}  // namespace assay::cuda::tensor_core
