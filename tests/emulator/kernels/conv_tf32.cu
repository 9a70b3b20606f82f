// Convolution as an implicit GEMM on tensor cores: rows are output pixels (tile 128), columns are
// filters (64), depth is (r, s, 32 channels); cp.async in three stages, 4 warps with 64x32 each.
#include "kernels/runtime/cuda/kernel.h"
#include "tests/emulator/kernels/with_bug.h"

namespace assay::testing {
namespace {

constexpr int kM = 128, kN = 64, kK = 32, kStages = 3;
constexpr int kPitch = kK + 4;  // a row of a tile; the 4 keep fragment loads free of conflicts
constexpr int kStage = (kM + kN) * kPitch;

template <Bug kBug>
__global__ void __launch_bounds__(128)
    conv_tf32(const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ y,
              ConvShape s) {
  ASSAY_DYNAMIC_SHARED(float, tiles);
  const int t = threadIdx.x, lane = t % 32, warp = t / 32, g = lane / 4, q = lane % 4;
  const int pixels = s.N * s.P * s.Q, m0 = blockIdx.x * kM, n0 = blockIdx.y * kN;
  const int warp_m = warp % 2 * 64, warp_n = warp / 2 * 32;
  const int channel_blocks = s.C / kK, steps = s.R * s.S * channel_blocks;

  // Each thread copies 16 bytes, at column 4 (t % 8), of every 16th row from t / 8.
  const auto load = [&](int stage, int step) {
    float* sa = tiles + stage * kStage;
    float* sb = sa + kM * kPitch;
    const int c0 = step % channel_blocks * kK, rs = step / channel_blocks, col = t % 8 * 4;
    for (int row = t / 8; row < kM; row += 16) {
      const int m = m0 + row, n = m / (s.P * s.Q), pq = m % (s.P * s.Q);
      const int h = pq / s.Q * s.stride - s.pad + rs / s.S,
                v = pq % s.Q * s.stride - s.pad + rs % s.S;
      const bool inside = m < pixels && h >= 0 && h < s.H && v >= 0 && v < s.W;
      const float* from = inside ? x + (size_t(n * s.H + h) * s.W + v) * s.C + c0 + col : x;
      ptx::cp_async<16>(sa + row * kPitch + col, from, inside);
    }
    for (int row = t / 8; row < kN; row += 16) {
      const int k = n0 + row;
      const float* from = k < s.K ? w + (size_t(k) * s.R * s.S + rs) * s.C + c0 + col : w;
      ptx::cp_async<16>(sb + row * kPitch + col, from, k < s.K);
    }
  };

  float acc[4][4][4] = {};
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < steps) load(stage, stage);
    ptx::cp_async_commit();
  }
  for (int step = 0; step < steps; ++step) {
    constexpr int kPending = kBug == Bug::conv_waits_for_too_few_groups ? kStages - 1 : kStages - 2;
    ptx::cp_async_wait<kPending>();
    if constexpr (kBug != Bug::conv_missing_sync) __syncthreads();
    if (step + kStages - 1 < steps) load((step + kStages - 1) % kStages, step + kStages - 1);
    ptx::cp_async_commit();
    const float* sa = tiles + step % kStages * kStage;
    const float* sb = sa + kM * kPitch;
#pragma unroll
    for (int k = 0; k < kK; k += 8) {
      uint32_t fa[4][4], fb[4][2];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float* p = sa + (warp_m + 16 * i + g) * kPitch + k + q;
        fa[i][0] = ptx::cvt_tf32(p[0]);
        fa[i][1] = ptx::cvt_tf32(p[8 * kPitch]);
        fa[i][2] = ptx::cvt_tf32(p[4]);
        fa[i][3] = ptx::cvt_tf32(p[8 * kPitch + 4]);
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float* p = sb + (warp_n + 8 * j + g) * kPitch + k + q;
        fb[j][0] = ptx::cvt_tf32(p[0]);
        fb[j][1] = ptx::cvt_tf32(p[4]);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) ptx::mma_m16n8k8_tf32(acc[i][j], fa[i], fb[j]);
    }
  }
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j)
      for (int e = 0; e < 4; ++e) {
        const int m = m0 + warp_m + 16 * i + g + e / 2 * 8, k = n0 + warp_n + 8 * j + q * 2 + e % 2;
        const bool row_exists = kBug == Bug::conv_writes_out_of_bounds || m < pixels;
        if (row_exists && k < s.K) y[size_t(m) * s.K + k] = acc[i][j][e];
      }
}

}  // namespace

void run_conv_tf32(const float* x, const float* w, float* y, const ConvShape& s, Bug bug) {
  const dim3 grid((s.N * s.P * s.Q + kM - 1) / kM, (s.K + kN - 1) / kN);
  with_bug<Bug::conv_waits_for_too_few_groups, Bug::conv_missing_sync,
           Bug::conv_writes_out_of_bounds>(bug, [&]<Bug kBug>() {
    cuda::launch(conv_tf32<kBug>, grid, 128, sizeof(float) * kStages * kStage, nullptr, x, w, y, s);
  });
}

}  // namespace assay::testing
