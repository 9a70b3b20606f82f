// Version 1: a warp takes the squared differences of one query and one point, 32 dimensions at a
// time. Nothing cancels, because nothing is expanded. Every pair reads 2 D floats for 2 D
// operations, so the kernel is bound by memory.
#include "kernels/kde/kde_cuda.h"
#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/reduce.cuh"

namespace assay::cuda {
namespace {

constexpr int kWarps = kThreads / 32;

/// |a - b|^2, returned in every lane. A lane adds 16 squares in float, then those sums in double.
__device__ double squared_distance(const float* __restrict__ a, const float* __restrict__ b,
                                   int D) {
  constexpr int kChain = 16;
  double total = 0;
  for (int d = static_cast<int>(threadIdx.x) % 32; d < D;) {
    float chain = 0;
    for (int i = 0; i < kChain && d < D; ++i, d += 32) {
      const float difference = a[d] - b[d];
      chain = fmaf(difference, difference, chain);
    }
    total += static_cast<double>(chain);
  }
  return warp_sum(total);
}

/// Block: one part of the points (x) and one query (y).
__global__ void __launch_bounds__(kThreads)
    sums_of_part(KdeShape s, int points, double scale, const float* __restrict__ train,
                 const float* __restrict__ queries, OnlineLogSumExp* __restrict__ sums) {
  ASSAY_SHARED(double, largest, [kWarps]);
  ASSAY_SHARED(double, scaled_sum, [kWarps]);
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int begin = static_cast<int>(blockIdx.x) * points;
  const int end = min(s.n, begin + points);
  for (int64_t j = blockIdx.y; j < s.m; j += gridDim.y) {
    const float* query = queries + j * s.D;
    OnlineLogSumExp sum;
    for (int i = begin + warp; i < end; i += kWarps)
      sum.add(scale * squared_distance(query, train + int64_t{i} * s.D, s.D));
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
      largest[warp] = sum.largest;
      scaled_sum[warp] = sum.sum;
    }
    __syncthreads();
    if (threadIdx.x > 0) continue;
    for (int w = 1; w < kWarps; ++w) sum.merge({largest[w], scaled_sum[w]});
    sums[j * gridDim.x + blockIdx.x] = sum;
  }
}

/// A warp per pair; distances (m, n).
__global__ void __launch_bounds__(kThreads)
    distances_of_pairs(KdeShape s, const float* __restrict__ train,
                       const float* __restrict__ queries, double* __restrict__ distances) {
  const int64_t pair = global_thread() / 32;
  if (pair >= int64_t{s.m} * s.n) return;
  const double d = squared_distance(queries + pair / s.n * s.D, train + pair % s.n * s.D, s.D);
  if (threadIdx.x % 32 == 0) distances[pair] = d;
}

}  // namespace

void kde_naive(Context& ctx, const KdeShape& s, const float* train, const float* queries,
               const KdeOutputs& out) {
  constexpr int kMaxRows = 65535;  // blocks that a grid may have in y
  if (out.distances != nullptr)
    launch(distances_of_pairs, blocks_for(int64_t{s.m} * s.n, kWarps), kThreads, 0, stream_of(ctx),
           s, train, queries, out.distances);
  else
    launch(sums_of_part, dim3(static_cast<unsigned>(kde_parts(s)), std::min(s.m, kMaxRows)),
           kThreads, 0, stream_of(ctx), s, kde_points_of_part(s), -0.5 / (out.h * out.h), train,
           queries, out.sums);
}

}  // namespace assay::cuda
