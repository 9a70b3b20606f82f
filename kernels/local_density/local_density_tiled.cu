// Version 2: a block compares 64 queries of a cell with the whole bank of its window, 64 features
// at a time, in tiles of 16 channels in shared memory. A thread has 4 x 4 sums.
//
//               bank: features of a window's cells, 64 at a time ->
//               +--------+--------+
//   queries 64  | 64x64  |  then  |    a thread keeps one NearestAndSum for each of its 4 rows;
//               +--------+--------+    at the end the 16 threads of a row merge theirs
#include "kernels/local_density/local_density_cuda.cuh"

namespace assay::cuda {
namespace {

constexpr int kTile = 64, kDepth = 16, kSide = 4;  // 16 x 16 threads with 4 x 4 sums
constexpr int kAcross = kTile / kSide;
static_assert(kThreads == kAcross * kAcross);

/// Channels k0 ... of vectors i0 ... of a matrix (C, count), zeros beyond.
__device__ void load_tile(float (&tile)[kDepth][kTile], const float* p, int count, int C, int i0,
                          int k0) {
  for (int e = static_cast<int>(threadIdx.x); e < kTile * kDepth; e += kThreads) {
    const int i = e % kTile, k = e / kTile;
    const bool inside = i0 + i < count && k0 + k < C;
    tile[k][i] = inside ? p[int64_t{k0 + k} * count + i0 + i] : 0.0f;
  }
}

/// Block (cell, tile of queries).
__global__ void __launch_bounds__(kThreads) tiled_density(DensityProblem p) {
  ASSAY_SHARED(float, a, [kDepth][kTile]);
  ASSAY_SHARED(float, b, [kDepth][kTile]);
  const LocalDensityShape s = p.s;
  const int tx = static_cast<int>(threadIdx.x) % kAcross;
  const int ty = static_cast<int>(threadIdx.x) / kAcross;
  const int j0 = static_cast<int>(blockIdx.y) * kTile;
  const int cell = static_cast<int>(blockIdx.x);
  const float* query = p.query + int64_t{cell} * s.C * s.m;
  NearestAndSum of_row[kSide];
  for (int k = 0; k < s.window(); ++k) {
    const float* bank = p.features + int64_t{s.neighbour(cell, k)} * s.C * s.n;
    const float* norms = p.norms + (int64_t{cell} * s.window() + k) * s.n;
    for (int i0 = 0; i0 < s.n; i0 += kTile) {
      float sum[kSide][kSide] = {};
      for (int c0 = 0; c0 < s.C; c0 += kDepth) {
        load_tile(a, query, s.m, s.C, j0, c0);
        load_tile(b, bank, s.n, s.C, i0, c0);
        __syncthreads();
#pragma unroll
        for (int c = 0; c < kDepth; ++c) {
          const float4 fa = ldv<float4>(&a[c][kSide * ty]), fb = ldv<float4>(&b[c][kSide * tx]);
          const float rows[kSide] = {fa.x, fa.y, fa.z, fa.w};
          const float columns[kSide] = {fb.x, fb.y, fb.z, fb.w};
#pragma unroll
          for (int r = 0; r < kSide; ++r)
#pragma unroll
            for (int q = 0; q < kSide; ++q) sum[r][q] = fmaf(rows[r], columns[q], sum[r][q]);
        }
        __syncthreads();
      }
#pragma unroll
      for (int r = 0; r < kSide; ++r)
#pragma unroll
        for (int q = 0; q < kSide; ++q) {
          const int j = j0 + kSide * ty + r, i = i0 + kSide * tx + q;
          if (j < s.m && i < s.n && counts(p, i, j)) of_row[r].add(norms[i] + sum[r][q], p.scale);
        }
    }
  }
  // The tiles are free now: [64 rows][16 threads] of both numbers.
  static_assert(kDepth * kTile == kTile * kAcross);
#pragma unroll
  for (int r = 0; r < kSide; ++r) {
    (&a[0][0])[(kSide * ty + r) * kAcross + tx] = of_row[r].nearest;
    (&b[0][0])[(kSide * ty + r) * kAcross + tx] = of_row[r].sum;
  }
  __syncthreads();
  const int row = static_cast<int>(threadIdx.x);
  if (row >= kTile || j0 + row >= s.m) return;
  NearestAndSum total;
  for (int t = 0; t < kAcross; ++t)
    total.merge({(&a[0][0])[row * kAcross + t], (&b[0][0])[row * kAcross + t]}, p.scale);
  finish(p, cell, j0 + row, total);
}

}  // namespace

void local_density_tiled(Context& ctx, const DensityProblem& p) {
  launch(tiled_density, dim3(static_cast<unsigned>(p.s.cells()), blocks_for(p.s.m, kTile)),
         kThreads, 0, stream_of(ctx), p);
}

}  // namespace assay::cuda
