// The matrix product on a CUDA device: which rung runs.
#include "kernels/gemm/cuda/algorithms.h"

#include <algorithm>

#include "kernels/gemm/gemm_backends.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

ConvAlgo gemm_rung(const Context& ctx) {
  switch (ctx.conv) {
    case ConvAlgo::naive:
    case ConvAlgo::tiled:
    case ConvAlgo::pipelined:
    case ConvAlgo::tensor_core:
      return ctx.conv;
    default:
      return ctx.precision == Precision::fp32 || ctx.precision == Precision::fp32_strict
                 ? ConvAlgo::pipelined
                 : ConvAlgo::tensor_core;
  }
}

namespace {

int64_t blocks(const GemmShape& s, GemmTile tile) {
  return int64_t{blocks_for(s.M, tile.M)} * blocks_for(s.N, tile.N);
}

}  // namespace

GemmTile gemm_tile(const GemmShape& s) {
  constexpr int64_t kMultiprocessors = 132;
  for (const GemmTile tile : {GemmTile{128, 128}, GemmTile{128, 64}})
    if (s.M > 64 && s.N > tile.N / 2 && blocks(s, tile) >= kMultiprocessors) return tile;
  return {64, 64};
}

int gemm_splits(const GemmShape& s, GemmTile tile) {
  constexpr int kWantedBlocks = 256, kLeastDepth = 128, kMostSplits = 32;
  const int64_t tiles = blocks(s, tile);
  const int64_t wanted = std::min<int64_t>(kWantedBlocks / tiles, s.K / kLeastDepth);
  const int splits = static_cast<int>(std::clamp<int64_t>(wanted, 1, kMostSplits));
  // Parts of equal depth in whole tiles of 16: as many as are needed to cover K, none empty.
  const int tiles_of_k = (s.K + 15) / 16, depth = (tiles_of_k + splits - 1) / splits;
  return depth == 0 ? 1 : (tiles_of_k + depth - 1) / depth;
}

void gemm(Context& ctx, const GemmShape& s, const GemmEpilogue& e, const float* a, Weights<float> b,
          const float* bias, float* c) {
  if (s.M == 0 || s.N == 0) return;
  const GemmProblem p{s, e, a, b.data, bias, c};
  const GemmTile tile = gemm_tile(s);
  switch (gemm_rung(ctx)) {
    case ConvAlgo::naive:
      return gemm_naive(ctx, p);
    case ConvAlgo::tiled:
      return gemm_tiled(ctx, p, tile);
    case ConvAlgo::tensor_core:
      return gemm_tensor_core(ctx, p, tile);
    default:
      return gemm_pipelined(ctx, p, tile);
  }
}

}  // namespace assay::cuda
