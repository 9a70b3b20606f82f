#include "bench/conformance/cases.h"
#include "kernels/runtime/cuda/kernel.h"
#include "kernels/runtime/cuda/ptx_sm90.cuh"
#include "kernels/runtime/cuda/tensor_map.cuh"

namespace assay::conformance {
namespace {

// Two phases of an mbarrier between two warps.
__global__ void mbarrier(const uint32_t* in, uint32_t* out) {
  ASSAY_SHARED(uint64_t, barriers, [2]);  // full, empty
  ASSAY_SHARED(uint32_t, tile, [32]);
  const int lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&barriers[0], 32);
    ptx::mbarrier_init(&barriers[1], 32);
    ptx::mbarrier_init_fence();
  }
  __syncthreads();
  for (int round = 0; round < 2; ++round) {
    if (threadIdx.x < 32) {
      if (round > 0) ptx::mbarrier_wait(&barriers[1], 0);
      tile[lane] = in[32 * round + lane];
      ptx::mbarrier_arrive(&barriers[0]);
    } else {
      ptx::mbarrier_wait(&barriers[0], static_cast<uint32_t>(round));
      out[32 * round + lane] = tile[31 - lane];
      ptx::mbarrier_arrive(&barriers[1]);
    }
  }
}

// A box of 8 rows that hangs over the lower right corner of a 13 x 36 matrix.
constexpr int kRows = 13, kColumns = 36, kBoxRows = 8;

template <int kBoxColumns>
__global__ void tma_load(const __grid_constant__ ptx::TensorMap map, uint32_t* out) {
  ASSAY_DYNAMIC_SHARED(uint32_t, tile);
  ASSAY_SHARED(uint64_t, barrier, [1]);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barrier, 1);
    ptx::mbarrier_init_fence();
    ptx::mbarrier_arrive_expect_tx(barrier, 4 * kBoxColumns * kBoxRows);
    ptx::tma_load_2d(tile, map, barrier, kColumns - kBoxColumns / 2, kRows - kBoxRows / 2);
  }
  __syncthreads();
  ptx::mbarrier_wait(barrier, 0);
  for (int i = threadIdx.x; i < kBoxColumns * kBoxRows; i += 32) out[i] = tile[i];
}

template <int kBoxColumns, int kSwizzle>
void launch_tma(const uint32_t* in, uint32_t* out, void* stream) {
  const ptx::TensorMap map = cuda::make_tensor_map(reinterpret_cast<const float*>(in), kColumns,
                                                   kRows, kBoxColumns, kBoxRows, kSwizzle);
  cuda::launch(tma_load<kBoxColumns>, 1, 32, 4 * kBoxColumns * kBoxRows,
               static_cast<cudaStream_t>(stream), map, out);
}

// A (64, 8 * kSteps) B (64, 8 * kSteps)^T; operands swizzled by ordinary stores.
constexpr int kSteps = 4, kDepth = 8 * kSteps, kTile = 64 * kDepth;

__global__ void wgmma(const uint32_t* in, uint32_t* out) {
  ASSAY_DYNAMIC_SHARED(uint32_t, tiles);
  for (int i = threadIdx.x; i < kTile; i += 128) {
    const int row = i / kDepth, column = i % kDepth;
    const int to = row * kDepth + ((column / 4) ^ (row % 8)) * 4 + column % 4;
    tiles[to] = in[i];
    tiles[kTile + to] = in[kTile + i];
  }
  ptx::fence_proxy_async();
  __syncthreads();
  float d[32];
  for (int i = 0; i < 32; ++i) d[i] = __uint_as_float(in[2 * kTile + 32 * threadIdx.x + i]);
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < kSteps; ++step)
    ptx::wgmma_m64n64k8_tf32(d, ptx::wgmma_descriptor(tiles + 8 * step),
                             ptx::wgmma_descriptor(tiles + kTile + 8 * step), true);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  for (int i = 0; i < 32; ++i) out[32 * threadIdx.x + i] = __float_as_uint(d[i]);
}

void launch_mbarrier(const uint32_t* in, uint32_t* out, void* stream) {
  cuda::launch(mbarrier, 1, 64, 0, static_cast<cudaStream_t>(stream), in, out);
}
void launch_wgmma(const uint32_t* in, uint32_t* out, void* stream) {
  cuda::launch(wgmma, 1, 128, 2 * 4 * kTile, static_cast<cudaStream_t>(stream), in, out);
}

}  // namespace

std::vector<Case> sm90_cases() {
  constexpr int kMatrix = kRows * kColumns;
  // As for mma, with kDepth products in a sum.
  constexpr double kBound = kDepth * (kDepth + 1) * 0x1p-23;
  return {
      {"mbarrier", Input::bits, 64, 64, 0, true, launch_mbarrier},
      {"tma_plain", Input::bits, kMatrix, 16 * kBoxRows, 0, true, launch_tma<16, 0>},
      {"tma_swizzle_32", Input::bits, kMatrix, 8 * kBoxRows, 0, true, launch_tma<8, 32>},
      {"tma_swizzle_64", Input::bits, kMatrix, 16 * kBoxRows, 0, true, launch_tma<16, 64>},
      {"tma_swizzle_128", Input::bits, kMatrix, 32 * kBoxRows, 0, true, launch_tma<32, 128>},
      {"wgmma_m64n64k8_tf32", Input::floats, 2 * kTile + 64 * 64, 64 * 64, kBound, true,
       launch_wgmma},
  };
}

}  // namespace assay::conformance
