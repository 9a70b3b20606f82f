// Kernel density on a CUDA device: which rung makes the sums of the parts, and how they are merged.
#include "kernels/kde/kde_cuda.h"

#include "kernels/kde/kde_backends.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

/// In part order, so that the same bits come out every time.
__global__ void __launch_bounds__(kThreads)
    merge_parts(int m, int parts, double normaliser, const OnlineLogSumExp* __restrict__ sums,
                double* __restrict__ log_density) {
  const int64_t j = global_thread();
  if (j >= m) return;
  OnlineLogSumExp total;
  for (int part = 0; part < parts; ++part) total.merge(sums[j * parts + part]);
  log_density[j] = normaliser + total.value();
}

}  // namespace

void kde_log_density(Context& ctx, const KdeShape& s, double h, const float* train,
                     const float* queries, double* log_density) {
  if (s.m == 0) return;
  const int parts = kde_parts_naive(s);
  const Scratch sums(ctx, sizeof(OnlineLogSumExp) * parts * s.m);
  kde_sums_naive(ctx, s, h, train, queries, sums.as<OnlineLogSumExp>());
  launch(merge_parts, blocks_for(s.m, kThreads), kThreads, 0, stream_of(ctx), s.m, parts,
         kde_log_normaliser(s.n, s.D, h), sums.as<OnlineLogSumExp>(), log_density);
}

void squared_distances(Context& ctx, const KdeShape& s, const float* train, const float* queries,
                       double* distances) {
  if (s.m == 0) return;
  squared_distances_naive(ctx, s, train, queries, distances);
}

}  // namespace assay::cuda
