#include "bench/gpu/peak_kernels.h"

#include "bench/gpu/timer.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::bench {
namespace {

constexpr int kChains = 16;  // independent, to hide the latency of each

/// The emulator gets just enough work to run each line.
int rounds(int on_device) {
  return real_device() ? on_device : 2;
}

__global__ void copy_kernel(const float4* from, float4* to, int64_t n) {
  for (int64_t i = cuda::global_thread(); i < n; i += int64_t{gridDim.x} * blockDim.x)
    cuda::stv(to + i, cuda::ldv<float4>(from + i));
}

__global__ void fma_kernel(int rounds, float factor, float* sink) {
  float sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = static_cast<float>(threadIdx.x + i);
  for (int round = 0; round < rounds; ++round)
#pragma unroll
    for (int i = 0; i < kChains; ++i) sum[i] = fmaf(sum[i], factor, 0.25f);
  float total = 0;
  for (int i = 0; i < kChains; ++i) total += sum[i];
  if (total == 12345.678f) *sink = total;  // keeps the chains
}

/// Bits of floats in [1, 2) (TF32), or of pairs of bf16 in [1, 2), all different: a multiplier that
/// sees only zeros takes less power and runs at a higher clock.
__device__ uint32_t operand(bool bf16, uint32_t i) {
  const uint32_t noise = (threadIdx.x * 2654435761u) ^ (i * 40503u);
  return bf16 ? 0x3f803f80u | (noise & 0x007f007fu) : 0x3f800000u | (noise & 0x007fe000u);
}

template <bool kBf16>
__global__ void mma_kernel(int rounds, float* sink) {
  constexpr int kTiles = 8;
  float d[kTiles][4] = {};
  uint32_t a[4], b[kTiles][2];
  for (uint32_t i = 0; i < 4; ++i) a[i] = operand(kBf16, i);
  for (uint32_t t = 0; t < kTiles; ++t)
    for (uint32_t i = 0; i < 2; ++i) b[t][i] = operand(kBf16, 7 * t + i + 4);
  for (int round = 0; round < rounds; ++round)
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      if constexpr (kBf16)
        ptx::mma_m16n8k16_bf16(d[t], a, b[t]);
      else
        ptx::mma_m16n8k8_tf32(d[t], a, b[t]);
    }
  float total = 0;
  for (int t = 0; t < kTiles; ++t)
    for (int i = 0; i < 4; ++i) total += d[t][i];
  if (total == 12345.678f) *sink = total;
}

unsigned blocks() {
  return static_cast<unsigned>(8 * multiprocessors());
}

}  // namespace

double copy_peak(Context& ctx, const void* from, void* to, int64_t bytes) {
  cuda::launch(copy_kernel, blocks(), cuda::kThreads, 0, cuda::stream_of(ctx),
               static_cast<const float4*>(from), static_cast<float4*>(to),
               bytes / static_cast<int64_t>(sizeof(float4)));
  return 2.0 * static_cast<double>(bytes);
}

double fma_peak(Context& ctx, float* sink) {
  const int n = rounds(4096);
  cuda::launch(fma_kernel, blocks(), cuda::kThreads, 0, cuda::stream_of(ctx), n, 0.5f, sink);
  return 2.0 * n * kChains * blocks() * cuda::kThreads;
}

double mma_peak(Context& ctx, bool bf16, float* sink) {
  const int n = rounds(4096);
  cuda::launch(bf16 ? mma_kernel<true> : mma_kernel<false>, blocks(), cuda::kThreads, 0,
               cuda::stream_of(ctx), n, sink);
  const double flops = 2.0 * 16 * 8 * (bf16 ? 16 : 8);
  return flops * 8 * n * blocks() * (cuda::kThreads / 32);
}

}  // namespace assay::bench
