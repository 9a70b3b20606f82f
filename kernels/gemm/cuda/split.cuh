// The kernels around block_product(): a block per tile of C and part of k. A single part stores the
// result. Several parts are written to memory, and a second kernel adds them in order, so that the
// bits are the same every time.
#pragma once

#include "kernels/gemm/cuda/block_product.cuh"
#include "kernels/gemm/cuda/epilogue.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

struct ProductPlan {
  int splits, depth;  // parts of k, k of a part (a multiple of kSplitUnit)
  bool a_by_16, b_by_16;
  float* partial;  // (splits, M, N) if splits > 1
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
}

template <class C>
__global__ void __launch_bounds__(kThreads)
    add_splits(const __grid_constant__ GemmProblemInto<C> p, int splits,
               const float* __restrict__ partial) {
  const int64_t i = global_thread(), results = int64_t{p.s.M} * p.s.N;
  if (i >= results) return;
  float sum = 0;
  for (int split = 0; split < splits; ++split) sum += partial[split * results + i];
  store_result(p, i / p.s.N, static_cast<int>(i % p.s.N), sum);
}

/// Of<kADepth, kBDepth> is the Tile for the layouts of A and B; all have the same size.
template <template <bool, bool> class Of, class C>
void split_product(Context& ctx, const GemmProblemInto<C>& p) {
  constexpr int kElements = Of<true, true>::kElements;
  const GemmShape& s = p.s;
  const int splits = gemm_splits(s, {Of<true, true>::kM, Of<true, true>::kN});
  const int units_of_k = (s.K + kSplitUnit - 1) / kSplitUnit;
  const Scratch partial(ctx, splits > 1 ? sizeof(float) * splits * s.M * s.N : 0);
  const ProductPlan plan{
      .splits = splits,
      .depth = (units_of_k + splits - 1) / splits * kSplitUnit,
      .a_by_16 = copies_by_16(vectors<kElements>(p.a, s.M, s.K, !s.transpose_a), !s.transpose_a),
      .b_by_16 = copies_by_16(vectors<kElements>(p.b, s.N, s.K, s.transpose_b), s.transpose_b),
      .partial = partial.as<float>()};
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
  if (splits > 1)
    launch(add_splits<C>, blocks_for(int64_t{s.M} * s.N, kThreads), kThreads, 0, stream_of(ctx), p,
           splits, partial.as<float>());
}

}  // namespace assay::cuda
