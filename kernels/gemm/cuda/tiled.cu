// Version 2: a block computes a tile of C, 64 x 64 to 128 x 128, from tiles of both operands, 16
// deep, in shared memory. An element is fetched from global memory once per 64 or 128 uses. A
// thread keeps 4 x 4 to 8 x 8 results in registers, in groups of 4 that are 64 apart, so a number
// from shared memory is used four or eight times.
//
//               B   16 x 128                 a thread:  4 or 8 numbers of a column of A's tile,
//              +---------+                              4 or 8 of a row of B's tile,
//   A 128 x 16 |         |                              16 to 64 multiply-adds
//   +--+       +---------+
//   |  |       | o    o  |  o: 4 x 4 results of a thread
//   |  |       |         |
//   |  |       | o    o  |
//   +--+       +---------+
#include "kernels/gemm/cuda/epilogue.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

constexpr int kDepth = 16, kGroup = 64;  // 16 x 16 threads with groups of 4 x 4 results
static_assert(kThreads == kGroup / 4 * (kGroup / 4));

/// tile (kDepth, kVectors) = vectors i0 ..., elements k0 ... . Neighbouring threads read
/// neighbouring memory in both layouts. Of k-fast vectors a warp reads 8 elements each of 4, whose
/// stores hit 32 banks.
template <int kVectors>
__device__ void load_tile(float (&tile)[kDepth][kVectors + 4], const float* p, int count, int K,
                          bool k_fast, int i0, int k0) {
#pragma unroll
  for (int e = static_cast<int>(threadIdx.x); e < kVectors * kDepth; e += kThreads) {
    const int i = k_fast ? e / 8 % kVectors : e % kVectors;
    const int k = k_fast ? e % 8 + e / (8 * kVectors) * 8 : e / kVectors;
    const bool inside = i0 + i < count && k0 + k < K;
    const int64_t at = k_fast ? int64_t{i0 + i} * K + k0 + k : int64_t{k0 + k} * count + i0 + i;
    tile[k][i] = inside ? p[at] : 0.0f;
  }
}

/// Four floats of a tile's line for each group.
template <int kGroups>
__device__ void fetch(const float* line, float (&f)[4 * kGroups]) {
#pragma unroll
  for (int group = 0; group < kGroups; ++group) {
    const float4 v = ldv<float4>(line + group * kGroup);
    f[4 * group] = v.x;
    f[4 * group + 1] = v.y;
    f[4 * group + 2] = v.z;
    f[4 * group + 3] = v.w;
  }
}

template <int kM, int kN>
__global__ void __launch_bounds__(kThreads, 2) tiled_product(GemmProblem p) {  // <= 128 registers
  constexpr int kRows = kM / kGroup * 4, kColumns = kN / kGroup * 4;           // of a thread
  ASSAY_SHARED(float, a, [kDepth][kM + 4]);
  ASSAY_SHARED(float, b, [kDepth][kN + 4]);
  const int tx = static_cast<int>(threadIdx.x) % 16 * 4;
  const int ty = static_cast<int>(threadIdx.x) / 16 * 4;
  const int m0 = static_cast<int>(blockIdx.y) * kM, n0 = static_cast<int>(blockIdx.x) * kN;
  float sum[kRows][kColumns] = {};
  for (int k0 = 0; k0 < p.s.K; k0 += kDepth) {
    load_tile<kM>(a, p.a, p.s.M, p.s.K, !p.s.transpose_a, m0, k0);
    load_tile<kN>(b, p.b, p.s.N, p.s.K, p.s.transpose_b, n0, k0);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      float fa[kRows], fb[kColumns];
      fetch<kM / kGroup>(&a[k][ty], fa);
      fetch<kN / kGroup>(&b[k][tx], fb);
#pragma unroll
      for (int i = 0; i < kRows; ++i)
#pragma unroll
        for (int j = 0; j < kColumns; ++j) sum[i][j] = fmaf(fa[i], fb[j], sum[i][j]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i)
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      const int m = m0 + i / 4 * kGroup + ty + i % 4, n = n0 + j / 4 * kGroup + tx + j % 4;
      if (m < p.s.M && n < p.s.N) store_result(p, m, n, sum[i][j]);
    }
}

}  // namespace

void gemm_tiled(Context& ctx, const GemmProblem& p, GemmTile tile) {
  with_tile(tile, [&]<int kM, int kN>() {
    launch(tiled_product<kM, kN>, dim3(blocks_for(p.s.N, kN), blocks_for(p.s.M, kM)), kThreads, 0,
           stream_of(ctx), p);
  });
}

}  // namespace assay::cuda
