// Rung 2: a block computes a tile of 64 x 64 of C from tiles of 64 x 16 of the operands that it
// keeps in shared memory, so an element is fetched from global memory once per 64 uses; a thread
// keeps 4 x 4 results in registers, so a number from shared memory is used four times.
//
//               B   16 x 64                  a thread:  4 numbers of a column of A's tile,
//              +--------+                                4 of a row of B's tile, 16 multiply-adds
//   A 64 x 16  |        |
//   +--+       +--------+
//   |  |       | C      |
//   |  |       | 64x64  |
//   +--+       +--------+
#include "kernels/gemm/gemm_epilogue.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

constexpr int kTile = 64, kDepth = 16;
static_assert(kTile * kTile == 16 * kThreads);

/// tile (kDepth, kTile) = vectors i0 ..., elements k0 ...; neighbouring threads fetch neighbouring
/// elements whichever way the operand lies.
__device__ void load_tile(float (&tile)[kDepth][kTile + 4], const float* p, int count, int K,
                          bool k_fast, int i0, int k0) {
  for (int e = static_cast<int>(threadIdx.x); e < kTile * kDepth; e += kThreads) {
    const int i = k_fast ? e / kDepth : e % kTile, k = k_fast ? e % kDepth : e / kTile;
    const bool inside = i0 + i < count && k0 + k < K;
    const int64_t at = k_fast ? int64_t{i0 + i} * K + k0 + k : int64_t{k0 + k} * count + i0 + i;
    tile[k][i] = inside ? p[at] : 0.0f;
  }
}

__global__ void __launch_bounds__(kThreads) product(GemmProblem p) {
  ASSAY_SHARED(float, a, [kDepth][kTile + 4]);
  ASSAY_SHARED(float, b, [kDepth][kTile + 4]);
  const int tx = static_cast<int>(threadIdx.x) % 16 * 4;
  const int ty = static_cast<int>(threadIdx.x) / 16 * 4;
  const int m0 = static_cast<int>(blockIdx.y) * kTile, n0 = static_cast<int>(blockIdx.x) * kTile;
  float sum[4][4] = {};
  for (int k0 = 0; k0 < p.s.K; k0 += kDepth) {
    load_tile(a, p.a, p.s.M, p.s.K, !p.s.transpose_a, m0, k0);
    load_tile(b, p.b, p.s.N, p.s.K, p.s.transpose_b, n0, k0);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      const float4 va = ldv<float4>(&a[k][ty]), vb = ldv<float4>(&b[k][tx]);
      const float fa[4] = {va.x, va.y, va.z, va.w}, fb[4] = {vb.x, vb.y, vb.z, vb.w};
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(fa[i], fb[j], sum[i][j]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (m0 + ty + i < p.s.M && n0 + tx + j < p.s.N)
        store_result(p, m0 + ty + i, n0 + tx + j, sum[i][j]);
}

}  // namespace

void gemm_tiled(Context& ctx, const GemmProblem& p) {
  launch(product, dim3(blocks_for(p.s.N, kTile), blocks_for(p.s.M, kTile)), kThreads, 0,
         stream_of(ctx), p);
}

}  // namespace assay::cuda
