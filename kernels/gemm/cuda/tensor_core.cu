// Version 4: the pipeline of version 3 with mma.sync in place of multiply-adds (block_product.cuh).
#include "kernels/gemm/cuda/split.cuh"

namespace assay::cuda {
namespace {

/// A warp has 64 x 32 results, 32 x 32 in the smallest tile.
template <class Math, int kM, int kN>
struct Mma {
  template <bool kADepth, bool kBDepth>
  using Of = MmaTile<Math, kM, kN, kADepth, kBDepth, kN / 32>;
};

}  // namespace

void gemm_tensor_core(Context& ctx, const GemmProblem& p, GemmTile tile) {
  with_tile(tile, [&]<int kM, int kN>() {
    switch (ctx.precision) {
      case Precision::tf32:
        return split_product<Mma<Tf32, kM, kN>::template Of>(ctx, p);
      case Precision::bf16:
        return split_product<Mma<Bf16, kM, kN>::template Of>(ctx, p);
      default:
        return split_product<Mma<Tf32x3, kM, kN>::template Of>(ctx, p);
    }
  });
}

}  // namespace assay::cuda
