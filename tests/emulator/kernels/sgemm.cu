// C = A B in fp32: tiles of 128x128x8 in double-buffered shared memory, 256 threads with 8x8
// results each.
#include "kernels/runtime/cuda/kernel.h"
#include "tests/emulator/kernels/with_bug.h"

namespace assay::testing {
namespace {

constexpr int kTile = 128, kDepth = 8;

template <Bug kBug>
__global__ void __launch_bounds__(256)
    sgemm(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int M,
          int N, int K) {
  ASSAY_SHARED(float, sa, [2][kDepth][kTile + 4]);  // A transposed: a column of A is a row here
  ASSAY_SHARED(float, sb, [2][kDepth][kTile]);
  const int t = threadIdx.x, m0 = blockIdx.y * kTile, n0 = blockIdx.x * kTile;
  const int a_row = t / 2, a_col = t % 2 * 4, b_row = t / 32, b_col = t % 32 * 4;
  const int ty = t / 16 * 8, tx = t % 16 * 4;
  const float4 zero = make_float4(0, 0, 0, 0);

  float4 next_a, next_b;
  const auto load = [&](int k0) {
    next_a = m0 + a_row < M && k0 + a_col < K
                 ? cuda::ldv<float4>(a + size_t(m0 + a_row) * K + k0 + a_col)
                 : zero;
    next_b = k0 + b_row < K && n0 + b_col < N
                 ? cuda::ldv<float4>(b + size_t(k0 + b_row) * N + n0 + b_col)
                 : zero;
  };
  const auto store = [&](int s) {
    sa[s][a_col + 0][a_row] = next_a.x;
    sa[s][a_col + 1][a_row] = next_a.y;
    sa[s][a_col + 2][a_row] = next_a.z;
    sa[s][a_col + 3][a_row] = next_a.w;
    cuda::stv(&sb[s][b_row][b_col], next_b);
  };

  float acc[8][8] = {};
  load(0);
  store(0);
  __syncthreads();
  for (int k0 = 0, s = 0; k0 < K; k0 += kDepth, s ^= 1) {
    const bool more = k0 + kDepth < K;
    if (more) load(k0 + kDepth);
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      const float4 a0 = cuda::ldv<float4>(&sa[s][k][ty]), a1 = cuda::ldv<float4>(&sa[s][k][ty + 4]);
      const float4 b0 = cuda::ldv<float4>(&sb[s][k][tx]);
      const float4 b1 = cuda::ldv<float4>(&sb[s][k][tx + 64]);
      const float ra[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
      const float rb[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) acc[i][j] = fmaf(ra[i], rb[j], acc[i][j]);
    }
    if (more) {
      store(s ^ 1);
      if constexpr (kBug != Bug::sgemm_missing_sync) __syncthreads();
    }
  }
  for (int i = 0; i < 8; ++i) {
    const int m = m0 + ty + i;
    if (m >= M) continue;
    for (int h = 0; h < 2; ++h) {
      const int n = n0 + tx + 64 * h;
      if (n < N)
        cuda::stv(c + size_t(m) * N + n, make_float4(acc[i][4 * h], acc[i][4 * h + 1],
                                                     acc[i][4 * h + 2], acc[i][4 * h + 3]));
    }
  }
}

}  // namespace

void run_sgemm(const float* a, const float* b, float* c, int M, int N, int K, Bug bug) {
  const dim3 grid((N + kTile - 1) / kTile, (M + kTile - 1) / kTile);
  with_bug<Bug::sgemm_missing_sync>(
      bug, [&]<Bug kBug>() { cuda::launch(sgemm<kBug>, grid, 256, 0, nullptr, a, b, c, M, N, K); });
}

}  // namespace assay::testing
