// Version 5: the pipeline of version 4 with mma.sync in place of multiply-adds (block_product.cuh),
// on float or on bf16 tensors.
#include "kernels/gemm/cuda/split.cuh"
#include "kernels/pointwise/pointwise.h"
#include "kernels/runtime/error.h"

namespace assay::cuda {
namespace {

/// A warp has 64 x 32 results, 32 x 32 in the smallest tile, and 64 x 64 of bf16 in the largest
/// one.
template <class Math, int kM, int kN>
struct Mma {
  static constexpr int kWarpsN = kN == 128 && Math::kElements == 2 ? 2 : kN / 32;
  template <bool kADepth, bool kBDepth>
  using Of = MmaTile<Math, kM, kN, kADepth, kBDepth, kWarpsN>;
};

}  // namespace

void gemm_tensor_core(Context& ctx, const GemmProblem& p, GemmTile tile) {
  with_tile(tile, [&]<int kM, int kN>() {
    if (ctx.precision == Precision::tf32x3)
      split_product<Mma<Tf32x3, kM, kN>::template Of>(ctx, p);
    else
      split_product<Mma<Tf32, kM, kN>::template Of>(ctx, p);
  });
}

Coverage gemm_bf16_covers(const Context&, const GemmShape& s) {
  const int row_of_a = s.transpose_a ? s.M : s.K, row_of_b = s.transpose_b ? s.K : s.N;
  if (row_of_a % 8 != 0 || row_of_b % 8 != 0)
    return Coverage::no("rows of a matrix that are not in 8s");
  constexpr int64_t kMax = int64_t{1} << 32;  // as copies_by_16() allows
  if (int64_t{s.M} * s.K >= kMax || int64_t{s.N} * s.K >= kMax)
    return Coverage::no("a matrix of 2^32 elements or more");
  return Coverage::yes();
}

namespace {

template <class C>
void product_on_bf16(Context& ctx, const GemmProblemInto<C>& p, GemmTile tile) {
  if (!aligned16(p.a) || !aligned16(p.b))
    throw Error("gemm: a bfloat16 matrix does not start at a multiple of 16 bytes");
  with_tile(tile, [&]<int kM, int kN>() { split_product<Mma<Bf16, kM, kN>::template Of>(ctx, p); });
}
const float* words(const bf16* p) {
  return reinterpret_cast<const float*>(p);
}

}  // namespace

void gemm_bf16(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const bf16* a,
               const float* b, const float* bias, bf16* c, GemmTile tile) {
  const int64_t weights = int64_t{s.K} * s.N;
  const Scratch narrow(ctx, static_cast<size_t>(weights) * sizeof(bf16));
  convert(ctx, weights, b, narrow.as<bf16>());
  product_on_bf16<bf16>(ctx, {s, e, words(a), words(narrow.as<bf16>()), bias, c}, tile);
}

void gemm_bf16_wgrad(Context& ctx, const GemmShape& s, const bf16* a, const bf16* b, float* c,
                     GemmTile tile) {
  product_on_bf16<float>(ctx, {s, {}, words(a), words(b), nullptr, c}, tile);
}

}  // namespace assay::cuda
