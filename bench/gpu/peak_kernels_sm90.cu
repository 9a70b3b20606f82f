#include "bench/gpu/peak_kernels.h"
#include "bench/gpu/timer.h"
#include "kernels/runtime/cuda/kernel.h"
#include "kernels/runtime/cuda/ptx_sm90.cuh"

namespace assay::bench {
namespace {

constexpr int kTile = 64 * 32;  // floats of an operand: 64 rows of 128 bytes

__global__ void wgmma_kernel(int rounds, float* sink) {
  ASSAY_DYNAMIC_SHARED(float, tiles);
  for (int i = threadIdx.x; i < 2 * kTile; i += 128)
    tiles[i] = 1.0f + static_cast<float>((i * 40503u + threadIdx.x) % 1024u) / 1024.0f;
  ptx::fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  ptx::wgmma_fence();
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int step = 0; step < 4; ++step)
      ptx::wgmma_tf32<64>(d, ptx::wgmma_descriptor(tiles + 8 * step),
                          ptx::wgmma_descriptor(tiles + kTile + 8 * step), true);
    ptx::wgmma_commit();
  }
  ptx::wgmma_wait<0>();
  float total = 0;
  for (int i = 0; i < 32; ++i) total += d[i];
  if (total == 12345.678f) *sink = total;
}

}  // namespace

double wgmma_peak(Context& ctx, float* sink) {
  const int rounds = real_device() ? 2048 : 1;
  const unsigned blocks = static_cast<unsigned>(4 * multiprocessors());
  cuda::launch(wgmma_kernel, blocks, 128, 2 * kTile * sizeof(float), cuda::stream_of(ctx), rounds,
               sink);
  return 2.0 * 64 * 64 * 8 * 4 * rounds * blocks;
}

}  // namespace assay::bench
