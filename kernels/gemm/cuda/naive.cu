// Version 1: one thread per element of C, straight from the formula. Neighbouring threads have
// neighbouring n, so B and C are read and written in whole sectors; A's element is the same for the
// warp. Every element of A is fetched N times and every element of B M times.
#include "kernels/gemm/cuda/algorithms.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

__global__ void __launch_bounds__(kThreads) naive_product(GemmProblem p) {
  const int n = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const int64_t M = p.s.M, N = p.s.N, K = p.s.K;
  if (n >= N) return;
  const float* b = p.s.transpose_b ? p.b + n * K : p.b + n;
  const int64_t a_step = p.s.transpose_a ? M : 1, b_step = p.s.transpose_b ? 1 : N;
  for (int64_t m = blockIdx.y; m < M; m += gridDim.y) {
    const float* a = p.s.transpose_a ? p.a + m : p.a + m * K;
    float sum = p.bias != nullptr ? p.bias[n] : 0.0f;
    for (int64_t k = 0; k < K; ++k) sum = fmaf(a[k * a_step], b[k * b_step], sum);
    float& c = p.c[m * N + n];
    c = p.e.accumulate ? c + sum : activate(p.e.activation, p.e.slope, sum);
  }
}

}  // namespace

void gemm_naive(Context& ctx, const GemmProblem& p, GemmTile) {
  constexpr int kMaxRows = 65535;  // blocks that a grid may have in y
  launch(naive_product, dim3(blocks_for(p.s.N, kThreads), std::min(p.s.M, kMaxRows)), kThreads, 0,
         stream_of(ctx), p);
}

}  // namespace assay::cuda
