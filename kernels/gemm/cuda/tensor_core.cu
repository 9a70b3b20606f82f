// Version 4: the pipeline of version 3 with mma.sync in place of multiply-adds (block_product.cuh).
#include "kernels/gemm/cuda/split.cuh"

namespace assay::cuda {

void gemm_tensor_core(Context& ctx, const GemmProblem& p, GemmTile tile) {
  with_tile(tile, [&]<int kM, int kN>() {
    switch (ctx.precision) {
      case Precision::tf32:
        return split_product<MmaMath<Precision::tf32, kM, kN>>(ctx, p);
      case Precision::bf16:
        return split_product<MmaMath<Precision::bf16, kM, kN>>(ctx, p);
      default:
        return split_product<MmaMath<Precision::tf32x3, kM, kN>>(ctx, p);
    }
  });
}

}  // namespace assay::cuda
