// The matrix products on CUDA devices, which the table in dispatch.cu lists. Each but hopper
// computes the formula of gemm.h for any shape.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/runtime/algorithm_table.h"

namespace assay::cuda {

/// The arguments of the kernels. A and B are float, or bf16 two in a word.
template <class C>
struct GemmProblemInto {
  GemmShape s;
  GemmEpilogue e;
  const float* a;
  const float* b;
  const float* bias;  // (N) or null
  C* c;
};
using GemmProblem = GemmProblemInto<float>;

/// The results of a block: 64 x 64, 128 x 64 or 128 x 128. A large tile reads memory less often, a
/// small one leaves fewer multiprocessors idle and wastes less at the edges.
struct GemmTile {
  int M, N;
};
/// The largest tile that still gives every multiprocessor of an H100 one. It depends on the shape
/// alone, so the bits are the same on every device.
GemmTile gemm_tile(const GemmShape& s);
/// Parts of k have a multiple of so many steps.
constexpr int kSplitUnit = 16;
/// The number of parts into which the pipelined algorithms cut the sum over k. It depends on the
/// shape and the tile alone.
int gemm_splits(const GemmShape& s, GemmTile tile);

/// Calls f.operator()<M, N>() for the tile.
template <class F>
void with_tile(GemmTile tile, const F& f) {
  if (tile.M == 64)
    f.template operator()<64, 64>();
  else if (tile.N == 64)
    f.template operator()<128, 64>();
  else
    f.template operator()<128, 128>();
}

/// One thread per element of C; the tile is not used.
void gemm_naive(Context& ctx, const GemmProblem& p, GemmTile tile);
/// Tiles in shared memory, 4 x 4 to 8 x 8 results in the registers of a thread.
void gemm_tiled(Context& ctx, const GemmProblem& p, GemmTile tile);
/// gemm_pipelined without its overlap: one stage, filled and multiplied in turns.
void gemm_hoisted(Context& ctx, const GemmProblem& p, GemmTile tile);
/// cp.async in three stages, 8 x 8 results in registers, split over k where C is small.
void gemm_pipelined(Context& ctx, const GemmProblem& p, GemmTile tile);
/// gemm_pipelined with mma.sync for products, three TF32 ones if ctx.precision is tf32x3, else one.
void gemm_tensor_core(Context& ctx, const GemmProblem& p, GemmTile tile);
/// TMA and wgmma, for shapes that gemm_hopper_covers(); ctx.precision is tf32 or tf32x3. The tile's
/// rows are 128; its columns are 128 for a tile of 128 x 128, else 64.
void gemm_hopper(Context& ctx, const GemmProblem& p, GemmTile tile);
Coverage gemm_hopper_covers(const Context& ctx, const GemmShape& s);
/// gemm() of gemm.h on bf16 tensors, in the same way.
void gemm_hopper_bf16(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const bf16* a,
                      const float* b, const float* bias, bf16* c, GemmTile tile);
Coverage gemm_hopper_bf16_covers(const Context& ctx, const GemmShape& s);

/// Whether gemm_bf16 or, if A is transposed, gemm_bf16_wgrad covers a shape: rows of A and B in 8s.
Coverage gemm_bf16_covers(const Context& ctx, const GemmShape& s);
/// gemm() and gemm_wgrad() of gemm.h on bf16 tensors with mma.sync.
void gemm_bf16(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const bf16* a,
               const float* b, const float* bias, bf16* c, GemmTile tile);
void gemm_bf16_wgrad(Context& ctx, const GemmShape& s, const bf16* a, const bf16* b, float* c,
                     GemmTile tile);

}  // namespace assay::cuda
