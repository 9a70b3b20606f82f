// C = A B in bf16 with fp32 accumulation: ldmatrix and mma.m16n8k16 on 64x64x32 tiles, cp.async in
// two stages, 4 warps with 16 rows each.
#include "kernels/runtime/cuda/kernel.h"
#include "tests/emulator/kernels/with_bug.h"

namespace assay::testing {
namespace {

constexpr int kTile = 64, kDepth = 32;

template <Bug kBug>
__global__ void __launch_bounds__(128)
    gemm_bf16(const uint16_t* __restrict__ a, const uint16_t* __restrict__ b, float* __restrict__ c,
              int N, int K) {
  ASSAY_SHARED(uint16_t, sa, [2][kTile][kDepth + 8]);
  ASSAY_SHARED(uint16_t, sb, [2][kDepth][kTile + 8]);
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  const int m0 = blockIdx.y * kTile, n0 = blockIdx.x * kTile;
  const auto load = [&](int s, int k0) {
    for (int i = t; i < kTile * kDepth / 8; i += 128) {
      const int row = i / 4, col = i % 4 * 8;
      ptx::cp_async<16>(&sa[s][row][col], a + size_t(m0 + row) * K + k0 + col);
    }
    for (int i = t; i < kDepth * kTile / 8; i += 128) {
      const int row = i / 8, col = i % 8 * 8;
      ptx::cp_async<16>(&sb[s][row][col], b + size_t(k0 + row) * N + n0 + col);
    }
    ptx::cp_async_commit();
  };
  float acc[8][4] = {};
  load(0, 0);
  for (int k0 = 0, s = 0; k0 < K; k0 += kDepth, s ^= 1) {
    const bool more = k0 + kDepth < K;
    if (more) load(s ^ 1, k0 + kDepth);
    if constexpr (kBug == Bug::bf16_reads_unfinished_copy)
      ptx::cp_async_wait<1>();  // right while there is a next stage, wrong for the last one
    else if (more)
      ptx::cp_async_wait<1>();
    else
      ptx::cp_async_wait<0>();
    __syncthreads();
    for (int k = 0; k < kDepth; k += 16) {
      uint32_t fa[4], fb[2];
      ptx::ldmatrix_x4(fa, &sa[s][warp * 16 + lane % 16][k + lane / 16 * 8]);
      for (int j = 0; j < 8; ++j) {
        ptx::ldmatrix_x2_trans(fb, &sb[s][k + lane % 16][8 * j]);
        ptx::mma_m16n8k16_bf16(acc[j], fa, fb);
      }
    }
    __syncthreads();
  }
  for (int j = 0; j < 8; ++j)
    for (int e = 0; e < 4; ++e) {
      const int row = m0 + warp * 16 + lane / 4 + e / 2 * 8,
                col = n0 + 8 * j + lane % 4 * 2 + e % 2;
      c[size_t(row) * N + col] = acc[j][e];
    }
}

}  // namespace

void run_gemm_bf16(const uint16_t* a, const uint16_t* b, float* c, int M, int N, int K, Bug bug) {
  const dim3 grid(N / kTile, M / kTile);
  with_bug<Bug::bf16_reads_unfinished_copy>(bug, [&]<Bug kBug>() {
    cuda::launch(gemm_bf16<kBug>, grid, 128, 0, nullptr, a, b, c, N, K);
  });
}

}  // namespace assay::testing
