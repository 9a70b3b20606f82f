// Kernel density on a CUDA device: the choice of a version, which sums parts of the points, and the
// merge of the parts.
#include "kernels/kde/kde_cuda.h"

#include <algorithm>

#include "kernels/kde/kde_backends.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

constexpr int kTile = 64;  // points and queries of a block of the tiled product

/// Merges in part order, so that the bits are the same every time.
__global__ void __launch_bounds__(kThreads)
    merge_parts(int m, int parts, double normaliser, const OnlineLogSumExp* __restrict__ sums,
                double* __restrict__ log_density) {
  const int64_t j = global_thread();
  if (j >= m) return;
  OnlineLogSumExp total;
  for (int part = 0; part < parts; ++part) total.merge(sums[j * parts + part]);
  log_density[j] = normaliser + total.value();
}

void run(Context& ctx, const KdeShape& s, const float* train, const float* queries,
         const KdeOutputs& out) {
  if (ctx.algorithm == Algorithm::naive)
    kde_naive(ctx, s, train, queries, out);
  else
    kde_product(ctx, s, train, queries, out);
}

}  // namespace

// Few queries need many parts to keep a device busy; with many queries parts only cost memory.
int kde_points_of_part(const KdeShape& s) {
  constexpr int kWantedBlocks = 512;
  const int query_tiles = (s.m + kTile - 1) / kTile, point_tiles = (s.n + kTile - 1) / kTile;
  const int parts = std::clamp(kWantedBlocks / query_tiles, 1, point_tiles);
  return (point_tiles + parts - 1) / parts * kTile;
}
int kde_parts(const KdeShape& s) {
  const int points = kde_points_of_part(s);
  return (s.n + points - 1) / points;
}

void kde_log_density(Context& ctx, const KdeShape& s, double h, const float* train,
                     const float* queries, double* log_density) {
  if (s.m == 0) return;
  const int parts = kde_parts(s);
  const Scratch sums(ctx, sizeof(OnlineLogSumExp) * parts * s.m);
  run(ctx, s, train, queries, {.h = h, .sums = sums.as<OnlineLogSumExp>(), .distances = nullptr});
  launch(merge_parts, blocks_for(s.m, kThreads), kThreads, 0, stream_of(ctx), s.m, parts,
         kde_log_normaliser(s.n, s.D, h), sums.as<OnlineLogSumExp>(), log_density);
}

void squared_distances(Context& ctx, const KdeShape& s, const float* train, const float* queries,
                       double* distances) {
  if (s.m == 0) return;
  run(ctx, s, train, queries, {.h = 1, .sums = nullptr, .distances = distances});
}

}  // namespace assay::cuda
