// Rung 3: the copies of the next tiles run while this one is multiplied, and a thread keeps 8 x 8
// results, so that a number from shared memory is used eight times (block_product.cuh).
#include "kernels/gemm/gemm_split.cuh"

namespace assay::cuda {

void gemm_pipelined(Context& ctx, const GemmProblem& p) {
  split_product<FmaMath>(ctx, p);
}

}  // namespace assay::cuda
