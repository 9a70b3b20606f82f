// The kernels around block_product(): a block per tile of C and part of k. A single part stores the
// result. Several parts are written to memory, and the last block of a tile to end adds them in
// order, so that the bits are the same every time. A gradient may be left as its parts.
#pragma once

#include <climits>
#include <memory>
#include <type_traits>

#include "kernels/gemm/cuda/block_product.cuh"
#include "kernels/gemm/cuda/epilogue.cuh"
#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/reduce.cuh"
#include "kernels/runtime/partial_sum.h"

namespace assay::cuda {

struct ProductPlan {
  int splits, depth;  // parts of k, k of a part (a multiple of kSplitUnit)
  bool a_by_16, b_by_16;
  float* partial;      // (splits, M, N) if splits > 1
  unsigned* counters;  // of tiles; null: the parts stay
};

template <class Tile, class C>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    product_of_tile(const __grid_constant__ GemmProblemInto<C> p, ProductPlan plan) {
  ASSAY_DYNAMIC_SHARED(float, shared);
  const int M = p.s.M, N = p.s.N, K = p.s.K;
  const int m0 = static_cast<int>(blockIdx.y) * Tile::kM;
  const int n0 = static_cast<int>(blockIdx.x) * Tile::kN;
  const int split = static_cast<int>(blockIdx.z), k_begin = split * plan.depth;
  const int k_end = K < k_begin + plan.depth ? K : k_begin + plan.depth;
  Tile tile;
  const Vectors a = vectors<Tile::kElements>(p.a, M, K, Tile::kADepth);
  const Vectors b = vectors<Tile::kElements>(p.b, N, K, Tile::kBDepth);
  block_product(tile, a, b, m0, n0, k_begin, k_end, plan.a_by_16, plan.b_by_16, shared);
  tile.for_each([&](int, int row, int column, float sum) {
    const int64_t m = m0 + row;
    const int n = n0 + column;
    if (m >= M || n >= N) return;
    if (plan.splits == 1)
      store_result(p, m, n, sum);
    else
      plan.partial[(split * int64_t{M} + m) * N + n] = sum;
  });
  if (plan.splits == 1 || plan.counters == nullptr) return;
  bool* const flag = reinterpret_cast<bool*>(shared);  // the stages are free
  if (!last_block(plan.counters + blockIdx.y * gridDim.x + blockIdx.x, gridDim.z, flag)) return;
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kM * Tile::kN; i += Tile::kThreads) {
    const int64_t m = m0 + i / Tile::kN;
    const int n = n0 + i % Tile::kN;
    if (m >= M || n >= N) continue;
    float sum = 0;
#pragma unroll 4
    for (int part = 0; part < plan.splits; ++part)
      sum += plan.partial[(part * int64_t{M} + m) * N + n];
    store_result(p, m, n, sum);
  }
}

template <class C>
bool is_plain(const GemmProblemInto<C>& p) {
  return p.bias == nullptr && p.e.activation == Activation::none && !p.e.accumulate;
}

/// Of<kADepth, kBDepth> is the Tile for the layouts of A and B; all have the same size. gcc 12
/// gives instances with an Of of an anonymous namespace one symbol in all files, so the names of
/// these must differ between files.
template <template <bool, bool> class Of, class C>
void split_product(Context& ctx, const GemmProblemInto<C>& p) {
  constexpr int kElements = Of<true, true>::kElements;
  const GemmShape& s = p.s;
  const int splits = gemm_splits(s, {Of<true, true>::kM, Of<true, true>::kN});
  const int units_of_k = (s.K + kSplitUnit - 1) / kSplitUnit;
  const auto partial =
      std::make_shared<const Scratch>(ctx, splits > 1 ? sizeof(float) * splits * s.M * s.N : 0);
  bool is_left = splits > 1 && is_plain(p) && int64_t{s.M} * s.N <= INT_MAX;
  if constexpr (std::is_same_v<C, float>)  // gradients of parameters are float
    is_left = is_left && ctx.unfinished != nullptr && ctx.unfinished->wants(p.c);
  else
    is_left = false;
  const ProductPlan plan{
      .splits = splits,
      .depth = (units_of_k + splits - 1) / splits * kSplitUnit,
      .a_by_16 = copies_by_16(vectors<kElements>(p.a, s.M, s.K, !s.transpose_a), !s.transpose_a),
      .b_by_16 = copies_by_16(vectors<kElements>(p.b, s.N, s.K, s.transpose_b), s.transpose_b),
      .partial = partial->as<float>(),
      .counters = is_left ? nullptr : counters_of(ctx)};
  const auto run = [&]<class Tile>() {
    const dim3 grid(blocks_for(s.N, Tile::kN), blocks_for(s.M, Tile::kM),
                    static_cast<unsigned>(splits));
    launch(product_of_tile<Tile, C>, grid, Tile::kThreads, product_bytes<Tile>(), stream_of(ctx), p,
           plan);
  };
  if (s.transpose_a)
    s.transpose_b ? run.template operator()<Of<false, true>>()
                  : run.template operator()<Of<false, false>>();
  else
    s.transpose_b ? run.template operator()<Of<true, true>>()
                  : run.template operator()<Of<true, false>>();
  if constexpr (std::is_same_v<C, float>) {
    if (!is_left) return;
    const int64_t results = int64_t{s.M} * s.N;
    ctx.unfinished->leave(
        p.c, {results, {{partial, partial->as<float>(), static_cast<int>(results), splits}}});
  }
}

}  // namespace assay::cuda
