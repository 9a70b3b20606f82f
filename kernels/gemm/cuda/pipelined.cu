// Version 4: the next tiles are copied while this one is multiplied (block_product.cuh).
#include "kernels/gemm/cuda/split.cuh"

namespace assay::cuda {
namespace {

template <int kM, int kN>
struct Fma {
  template <bool kADepth, bool kBDepth>
  using Of = FmaTile<kM, kN, kADepth, kBDepth>;
};

}  // namespace

void gemm_pipelined(Context& ctx, const GemmProblem& p, GemmTile tile) {
  with_tile(tile, [&]<int kM, int kN>() { split_product<Fma<kM, kN>::template Of>(ctx, p); });
}

}  // namespace assay::cuda
