// Version 3: what copies need is computed once before the loop over k, and a copy moves four
// numbers. A thread keeps 8 by 8 results, so that a number from shared memory is used eight times.
// The block still waits for its copies in every step (block_product.cuh, one stage).
#include "kernels/gemm/cuda/split.cuh"

namespace assay::cuda {
namespace {

template <int kM, int kN>
struct HoistedTile {
  template <bool kADepth, bool kBDepth>
  using Of = OneStage<FmaTile<kM, kN, kADepth, kBDepth>>;
};

}  // namespace

void gemm_hoisted(Context& ctx, const GemmProblem& p, GemmTile tile) {
  with_tile(tile,
            [&]<int kM, int kN>() { split_product<HoistedTile<kM, kN>::template Of>(ctx, p); });
}

}  // namespace assay::cuda
