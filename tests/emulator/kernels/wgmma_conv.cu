// Hopper: a 3x3 convolution with stride 2 in TF32. The pixels of a tile are a box of TMA in four
// dimensions, every second row and column of x, zero outside of the image and rounded to TF32 by
// the copy. One warpgroup copies and gives registers to the other, which multiplies with A in
// registers.
//
//   x (N,H,W,32) under tap (r,t): 32 channels x 8 columns x 8 rows     w (64,3,3,32): 32 x 64
//   filters
#include "kernels/runtime/cuda/kernel.h"
#include "kernels/runtime/cuda/ptx_sm90.cuh"
#include "kernels/runtime/cuda/tensor_map.cuh"
#include "tests/emulator/kernels/with_bug.h"

namespace assay::testing {
namespace {

constexpr int kStages = 2, kChannels = 32, kFilters = 64, kSide = 8, kTaps = 9;
constexpr int kOperand = 64 * kChannels, kStageBytes = 2 * kOperand * 4;

template <Bug kBug>
__global__ void __launch_bounds__(256, 1)
    wgmma_conv(const __grid_constant__ ptx::TensorMap map_x,
               const __grid_constant__ ptx::TensorMap map_w, float* __restrict__ y, int P, int Q) {
  ASSAY_DYNAMIC_SHARED(float, tiles);
  ASSAY_SHARED(uint64_t, full, [kStages]);
  ASSAY_SHARED(uint64_t, empty, [kStages]);
  const int t = threadIdx.x % 128, n = blockIdx.z;
  const int p0 = blockIdx.y * kSide, q0 = blockIdx.x * kSide;
  if (threadIdx.x == 0) {
    for (int s = 0; s < kStages; ++s) {
      ptx::mbarrier_init(&full[s], 1);
      ptx::mbarrier_init(&empty[s], 128);
    }
    ptx::mbarrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    if (kBug != Bug::conv_boxes_one_warp_asks || t < 32) ptx::give_registers_back<40>();
    if (t != 0) return;
    for (int tap = 0; tap < kTaps; ++tap) {
      const int s = tap % kStages;
      if (kBug != Bug::conv_boxes_no_wait_for_empty && tap >= kStages)
        ptx::mbarrier_wait(&empty[s], (tap / kStages - 1) % 2);
      ptx::mbarrier_arrive_expect_tx(&full[s], kStageBytes);
      float* a = tiles + s * 2 * kOperand;
      ptx::tma_load(a, map_x, &full[s], {0, 2 * q0 - 1 + tap % 3, 2 * p0 - 1 + tap / 3, n});
      ptx::tma_load(a + kOperand, map_w, &full[s], {tap * kChannels, 0});
    }
    return;
  }
  ptx::get_registers<232>();
  const int row = t / 32 * 16 + t % 32 / 4, q = t % 4;
  float d[32];
  for (int i = 0; i < 32; ++i) d[i] = 0.0f;
  for (int tap = 0; tap < kTaps; ++tap) {
    const int s = tap % kStages;
    if constexpr (kBug != Bug::conv_boxes_read_early)
      ptx::mbarrier_wait(&full[s], tap / kStages % 2);
    const float* a = tiles + s * 2 * kOperand;
    uint32_t fragments[kChannels / 8][4];
#pragma unroll
    for (int k = 0; k < kChannels / 8; ++k)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int chunk = (2 * k + e / 2) ^ (row % 8);  // swizzled
        fragments[k][e] = __float_as_uint(a[(row + e % 2 * 8) * kChannels + chunk * 4 + q]);
      }
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < kChannels / 8; ++k)
      ptx::wgmma_tf32<64>(d, fragments[k], ptx::wgmma_descriptor(a + kOperand + 8 * k), true);
    if constexpr (kBug != Bug::conv_boxes_no_commit) ptx::wgmma_commit();
    if constexpr (kBug == Bug::conv_boxes_registers_overwritten) fragments[3][0] = 1;
    ptx::wgmma_wait<0>();
    ptx::mbarrier_arrive(&empty[s]);
  }
  for (int j = 0; j < 8; ++j)
    for (int e = 0; e < 4; ++e) {
      const int m = row + e / 2 * 8, p = p0 + m / kSide, column = q0 + m % kSide;
      if (p < P && column < Q)
        y[((size_t(n) * P + p) * Q + column) * kFilters + 8 * j + 2 * q + e % 2] = d[4 * j + e];
    }
}

}  // namespace

void run_wgmma_conv(const float* x, const float* w, float* y, int N, int H, int W, Bug bug) {
  const int P = (H + 1) / 2, Q = (W + 1) / 2;
  const int images = bug == Bug::conv_boxes_map_beyond_tensor ? N + 1 : N;
  const ptx::TensorMap map_x =
      cuda::make_tensor_map<4>({.base = x,
                                .size = {kChannels, uint64_t(W), uint64_t(H), uint64_t(images)},
                                .box = {kChannels, kSide, kSide, 1},
                                .swizzle_bytes = 128,
                                .element = ptx::TensorElement::tfloat32,
                                .step = {1, 2, 2, 1}});
  const ptx::TensorMap map_w = cuda::make_tensor_map<2>({.base = w,
                                                         .size = {kTaps * kChannels, kFilters},
                                                         .box = {kChannels, kFilters},
                                                         .swizzle_bytes = 128,
                                                         .element = ptx::TensorElement::tfloat32});
  const dim3 grid((Q + kSide - 1) / kSide, (P + kSide - 1) / kSide, images);
  with_bug<Bug::conv_boxes_one_warp_asks, Bug::conv_boxes_no_wait_for_empty,
           Bug::conv_boxes_read_early, Bug::conv_boxes_no_commit,
           Bug::conv_boxes_registers_overwritten, Bug::conv_boxes_map_beyond_tensor>(
      bug, [&]<Bug kBug>() {
        cuda::launch(wgmma_conv<kBug>, grid, 256, kStages * kStageBytes, nullptr, map_x, map_w, y,
                     P, Q);
      });
}

}  // namespace assay::testing
