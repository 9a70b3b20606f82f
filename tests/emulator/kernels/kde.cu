// Gaussian kernel density: log p(q) = logsumexp_j(-|q - p_j|^2 / 2h^2) - log(points)
// - D log(h sqrt(2 pi)). A thread has one query; points pass through shared memory by 128.
#include "kernels/runtime/cuda/kernel.h"
#include "tests/emulator/kernels/with_bug.h"

namespace assay::testing {
namespace {

constexpr int kTile = 128;

template <Bug kBug>
__global__ void __launch_bounds__(kTile)
    kde(const float* __restrict__ q, const float* __restrict__ p, float* __restrict__ out,
        int queries, int points, int D, float h) {
  ASSAY_DYNAMIC_SHARED(float, sp);  // (kTile, D) points, then (kTile, D + 1) queries
  float* sq = sp + kTile * D;
  const int t = threadIdx.x, i = blockIdx.x * kTile + t;
  for (int e = t; e < kTile * D; e += kTile) {
    const int row = e / D, d = e % D, query = blockIdx.x * kTile + row;
    sq[row * (D + 1) + d] = query < queries ? q[size_t(query) * D + d] : 0.0f;
  }
  const float scale = -0.5f / (h * h);
  float most = -INFINITY, sum = 0.0f;
  for (int j0 = 0; j0 < points; j0 += kTile) {
    if constexpr (kBug != Bug::kde_missing_sync) __syncthreads();
    const int n = min(kTile, points - j0);
    for (int e = t; e < n * D; e += kTile) sp[e] = p[size_t(j0) * D + e];
    __syncthreads();
    for (int j = 0; j < n; ++j) {
      float d2 = 0.0f;
      for (int d = 0; d < D; ++d) {
        const float u = sq[t * (D + 1) + d] - sp[j * D + d];
        d2 = fmaf(u, u, d2);
      }
      const float a = scale * d2;  // online log-sum-exp
      if (a > most) {
        sum = sum * expf(most - a) + 1.0f;
        most = a;
      } else {
        sum += expf(a - most);
      }
    }
  }
  constexpr float kRootTwoPi = 2.50662827463f;
  if (i < queries)
    out[i] = most + logf(sum) - logf(float(points)) - float(D) * logf(h * kRootTwoPi);
}

}  // namespace

void run_kde(const float* q, const float* p, float* out, int queries, int points, int D, float h,
             Bug bug) {
  int floats = kTile * (2 * D + 1);
  if (bug == Bug::kde_shared_memory_too_small) floats -= 4;
  with_bug<Bug::kde_missing_sync, Bug::kde_shared_memory_too_small>(bug, [&]<Bug kBug>() {
    cuda::launch(kde<kBug>, (queries + kTile - 1) / kTile, kTile, sizeof(float) * floats, nullptr,
                 q, p, out, queries, points, D, h);
  });
}

}  // namespace assay::testing
