// Versions 3 and 4: the products are those of the matrix product's pipeline
// (kernels/gemm/cuda/block_product.cuh), by multiply-adds or by three TF32 products on tensor
// cores. The sums update the state of each query, as in version 2, instead of being stored. Plain
// TF32 or bf16 would move a distance by a hundredth of the features' norm, more than defects do.
#include "kernels/gemm/cuda/block_product.cuh"
#include "kernels/local_density/local_density_cuda.cuh"

namespace assay::cuda {
namespace {

constexpr int kTile = 64;

/// Block (cell, tile of queries). Queries and features both lie with the vector fastest.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    density_of_tile(DensityProblem p, bool queries_by_16, bool features_by_16) {
  ASSAY_DYNAMIC_SHARED(float, shared);
  const LocalDensityShape s = p.s;
  const int j0 = static_cast<int>(blockIdx.y) * Tile::kM;
  const int cell = static_cast<int>(blockIdx.x);
  const Vectors queries{p.query + int64_t{cell} * s.C * s.m, s.m, s.C};
  NearestAndSum of_row[Tile::kRows];
  Tile tile;
  for (int k = 0; k < s.window(); ++k) {
    const Vectors bank{p.features + int64_t{s.neighbour(cell, k)} * s.C * s.n, s.n, s.C};
    const float* norms = p.norms + (int64_t{cell} * s.window() + k) * s.n;
    for (int i0 = 0; i0 < s.n; i0 += Tile::kN) {
      block_product(tile, queries, bank, j0, i0, 0, s.C, queries_by_16, features_by_16, shared);
      tile.for_each([&](int slot, int row, int column, float product) {
        const int j = j0 + row, i = i0 + column;
        if (j < s.m && i < s.n && counts(p, i, j)) of_row[slot].add(norms[i] + product, p.scale);
      });
    }
  }
  // The stages are free now: [kM][kSharers] pairs.
  static_assert(product_bytes<Tile>() >= sizeof(float) * 2 * Tile::kM * Tile::kSharers);
#pragma unroll
  for (int slot = 0; slot < Tile::kRows; ++slot) {
    float* const pair = shared + 2 * (Tile::row_of(slot) * Tile::kSharers + Tile::sharer());
    pair[0] = of_row[slot].nearest;
    pair[1] = of_row[slot].sum;
  }
  __syncthreads();
  for (int row = static_cast<int>(threadIdx.x); row < Tile::kM && j0 + row < s.m;
       row += Tile::kThreads) {
    NearestAndSum total;
    for (int t = 0; t < Tile::kSharers; ++t) {
      const float* const pair = shared + 2 * (row * Tile::kSharers + t);
      total.merge({pair[0], pair[1]}, p.scale);
    }
    finish(p, cell, j0 + row, total);
  }
}

}  // namespace

void local_density_product(Context& ctx, const DensityProblem& p, bool tensor_cores) {
  const auto by_16 = [&](const float* x, int count) {
    return copies_by_16({x, count, p.s.C}, false);
  };
  const auto start = [&]<class Tile>() {
    launch(density_of_tile<Tile>,
           dim3(static_cast<unsigned>(p.s.cells()), blocks_for(p.s.m, Tile::kM)), Tile::kThreads,
           product_bytes<Tile>(), stream_of(ctx), p, by_16(p.query, p.s.m),
           by_16(p.features, p.s.n));
  };
  if (tensor_cores)
    start.operator()<MmaTile<Tf32x3, kTile, kTile, false, false>>();
  else
    start.operator()<FmaTile<kTile, kTile, false, false>>();
}

}  // namespace assay::cuda
