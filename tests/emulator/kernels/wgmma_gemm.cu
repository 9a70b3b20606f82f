// Hopper: C = A B^T in TF32 by wgmma.m64n64k8. One producer thread brings 64x32 tiles of both
// operands by TMA, 128-byte swizzled, in three stages; one warpgroup multiplies. Full and empty
// mbarriers pass the stages back and forth.
#include "kernels/runtime/cuda/kernel.h"
#include "kernels/runtime/cuda/ptx_sm90.cuh"
#include "kernels/runtime/cuda/tensor_map.cuh"
#include "tests/emulator/kernels/with_bug.h"

namespace assay::testing {
namespace {

constexpr int kStages = 3, kTile = 64, kDepth = 32;
constexpr int kTileFloats = kTile * kDepth, kStageBytes = 2 * kTileFloats * 4;

// One stage: four wgmma cover the 32 columns.
__device__ __forceinline__ void multiply_stage(float (&d)[32], const float* a, const float* b) {
#pragma unroll
  for (int k = 0; k < kDepth; k += 8)
    ptx::wgmma_tf32<64>(d, ptx::wgmma_descriptor(a + k), ptx::wgmma_descriptor(b + k), true);
  ptx::wgmma_commit();
}

__device__ __forceinline__ void store_tile(const float (&d)[32], float* c, int m0, int n0, int M,
                                           int N) {
  const int t = threadIdx.x, g = t % 32 / 4, q = t % 4;
  for (int j = 0; j < 8; ++j)
    for (int e = 0; e < 4; ++e) {
      const int m = m0 + t / 32 * 16 + g + e / 2 * 8, n = n0 + 8 * j + q * 2 + e % 2;
      if (m < M && n < N) c[size_t(m) * N + n] = d[4 * j + e];
    }
}

template <Bug kBug>
__global__ void __launch_bounds__(160) wgmma_gemm(const __grid_constant__ ptx::TensorMap map_a,
                                                  const __grid_constant__ ptx::TensorMap map_b,
                                                  float* __restrict__ c, int M, int N, int K) {
  ASSAY_DYNAMIC_SHARED(float, tiles);
  ASSAY_SHARED(uint64_t, full, [kStages]);
  ASSAY_SHARED(uint64_t, empty, [kStages]);
  const int t = threadIdx.x, m0 = blockIdx.y * kTile, n0 = blockIdx.x * kTile, steps = K / kDepth;
  if (t == 0) {
    for (int s = 0; s < kStages; ++s) {
      ptx::mbarrier_init(&full[s], 1);
      ptx::mbarrier_init(&empty[s], 128);
    }
    ptx::mbarrier_init_fence();
    if constexpr (kBug == Bug::wgmma_overwritten_barrier) full[1] = 0;
  }
  __syncthreads();
  if (t > 128) return;
  if (t == 128) {
    for (int step = 0; step < steps; ++step) {
      const int s = step % kStages;
      if (kBug != Bug::wgmma_no_wait_for_empty && step >= kStages)
        ptx::mbarrier_wait(&empty[s], (step / kStages - 1) % 2);
      constexpr int kExtra = kBug == Bug::wgmma_wrong_expected_bytes ? 16 : 0;
      ptx::mbarrier_arrive_expect_tx(&full[s], kStageBytes + kExtra);
      float* a = tiles + s * 2 * kTileFloats;
      ptx::tma_load(a, map_a, &full[s], {step * kDepth, m0});
      ptx::tma_load(a + kTileFloats, map_b, &full[s], {step * kDepth, n0});
    }
    return;
  }
  float d[32];
  for (int i = 0; i < 32; ++i) d[i] = 0.0f;
  for (int step = 0; step < steps; ++step) {
    const int s = step % kStages;
    if constexpr (kBug != Bug::wgmma_no_wait_for_full)
      ptx::mbarrier_wait(&full[s], step / kStages % 2);
    const float* a = tiles + s * 2 * kTileFloats;
    if constexpr (kBug != Bug::wgmma_no_fence) ptx::wgmma_fence();
    multiply_stage(d, a, a + kTileFloats);
    if constexpr (kBug != Bug::wgmma_no_wait_for_products) ptx::wgmma_wait<0>();
    ptx::mbarrier_arrive(&empty[s]);
  }
  ptx::wgmma_wait<0>();
  store_tile(d, c, m0, n0, M, N);
}

template <Bug kBug>
__global__ void __launch_bounds__(128)
    wgmma_generic(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c) {
  ASSAY_DYNAMIC_SHARED(float, tiles);
  for (int i = threadIdx.x; i < kTileFloats; i += 128) {
    const int row = i / kDepth, col = i % kDepth;
    const int swizzled = row * kDepth + ((col / 4) ^ (row % 8)) * 4 + col % 4;
    tiles[swizzled] = a[i];
    tiles[kTileFloats + swizzled] = b[i];
  }
  if constexpr (kBug != Bug::wgmma_no_proxy_fence) ptx::fence_proxy_async();
  __syncthreads();
  float d[32];
  for (int i = 0; i < 32; ++i) d[i] = 0.0f;
  ptx::wgmma_fence();
  multiply_stage(d, tiles, tiles + kTileFloats);
  ptx::wgmma_wait<0>();
  store_tile(d, c, 0, 0, kTile, kTile);
}

}  // namespace

void run_wgmma_gemm(const float* a, const float* b, float* c, int M, int N, int K, Bug bug) {
  const auto map = [&](const float* p, int rows) {
    return cuda::make_tensor_map<2>({.base = p,
                                     .size = {uint64_t(K), uint64_t(rows)},
                                     .box = {kDepth, kTile},
                                     .swizzle_bytes = 128});
  };
  const ptx::TensorMap map_a = map(a, M), map_b = map(b, N);
  const dim3 grid((N + kTile - 1) / kTile, (M + kTile - 1) / kTile);
  with_bug<Bug::wgmma_no_wait_for_full, Bug::wgmma_no_wait_for_empty,
           Bug::wgmma_wrong_expected_bytes, Bug::wgmma_no_wait_for_products, Bug::wgmma_no_fence,
           Bug::wgmma_overwritten_barrier>(bug, [&]<Bug kBug>() {
    cuda::launch(wgmma_gemm<kBug>, grid, 160, kStages * kStageBytes, nullptr, map_a, map_b, c, M, N,
                 K);
  });
}

void run_wgmma_generic(const float* a, const float* b, float* c, Bug bug) {
  with_bug<Bug::wgmma_no_proxy_fence>(bug, [&]<Bug kBug>() {
    cuda::launch(wgmma_generic<kBug>, 1, 128, kStageBytes, nullptr, a, b, c);
  });
}

}  // namespace assay::testing
