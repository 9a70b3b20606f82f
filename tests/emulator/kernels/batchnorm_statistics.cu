// Mean and variance of a channel: one block a channel, Welford's update in each thread, Chan's
// merge through shuffles and shared memory (Chan, Golub, LeVeque 1983, "Algorithms for computing
// the sample variance").
#include "kernels/runtime/cuda/kernel.h"
#include "tests/emulator/kernels/with_bug.h"

namespace assay::testing {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

struct Moments {
  float n, mean, m2;
};

__device__ __forceinline__ Moments merge(Moments a, Moments b) {
  const float n = a.n + b.n;
  if (n == 0.0f) return a;
  const float d = b.mean - a.mean, share = b.n / n;
  return {n, a.mean + d * share, a.m2 + b.m2 + d * d * a.n * share};
}

__device__ __forceinline__ Moments merge_with_lane_above(Moments a, int distance) {
  const float n = __shfl_down_sync(~0u, a.n, distance);
  const float mean = __shfl_down_sync(~0u, a.mean, distance);
  const float m2 = __shfl_down_sync(~0u, a.m2, distance);
  return merge(a, {n, mean, m2});
}

template <Bug kBug>
__global__ void __launch_bounds__(kThreads)
    batchnorm_statistics(const float* __restrict__ x, float* __restrict__ mean,
                         float* __restrict__ variance, int rows, int C) {
  ASSAY_SHARED(Moments, parts, [kWarps]);
  const int channel = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Moments m{0, 0, 0};
  for (int r = threadIdx.x; r < rows; r += kThreads) {
    const float v = __ldg(x + size_t(r) * C + channel);
    m.n += 1.0f;
    const float d = v - m.mean;
    m.mean += d / m.n;
    m.m2 += d * (v - m.mean);
  }
  if constexpr (kBug == Bug::statistics_divergent_barrier)
    if (threadIdx.x < 200) __syncthreads();
  if constexpr (kBug == Bug::statistics_local_array_overrun) {
    float local[4] = {};
    for (int i = 0; i <= int(threadIdx.x / 64) + 1; ++i) local[i] = m.mean;
    if (local[1] == 12345.0f) m.n = local[2];
  }
  for (int distance = 16; distance > 0; distance /= 2) m = merge_with_lane_above(m, distance);
  if (lane == 0) parts[warp] = m;
  if constexpr (kBug != Bug::statistics_missing_sync) __syncthreads();
  if (warp > 0) return;
  m = lane < kWarps ? parts[lane] : Moments{0, 0, 0};
  if (kBug == Bug::statistics_shuffle_with_absent_lanes && lane >= kWarps) return;
  for (int distance = kWarps / 2; distance > 0; distance /= 2)
    m = merge_with_lane_above(m, distance);
  if (lane > 0) return;
  mean[kBug == Bug::statistics_two_blocks_write_one_word ? channel / 2 : channel] = m.mean;
  variance[channel] = m.m2 / m.n;
}

}  // namespace

void run_batchnorm_statistics(const float* x, float* mean, float* variance, int rows, int C,
                              Bug bug) {
  with_bug<Bug::statistics_divergent_barrier, Bug::statistics_missing_sync,
           Bug::statistics_shuffle_with_absent_lanes, Bug::statistics_two_blocks_write_one_word,
           Bug::statistics_local_array_overrun>(bug, [&]<Bug kBug>() {
    cuda::launch(batchnorm_statistics<kBug>, C, kThreads, 0, nullptr, x, mean, variance, rows, C);
  });
}

}  // namespace assay::testing
