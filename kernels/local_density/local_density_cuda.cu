// Local density on a CUDA device: metric, norms, transformed queries, and the choice of a version.
#include <algorithm>
#include <stdexcept>

#include "kernels/local_density/local_density_backends.h"
#include "kernels/local_density/local_density_cuda.cuh"
#include "kernels/runtime/transfer.h"

namespace assay::cuda {
namespace {

/// A thread per cell and query: q' = -2 M (q - c), and the offset -q'.((q - c) / 2 + c).
__global__ void __launch_bounds__(kThreads)
    transform_queries(LocalDensityShape s, const float* __restrict__ metric,
                      const float* __restrict__ centre, const float* __restrict__ queries,
                      float* __restrict__ transformed, float* __restrict__ offset) {
  const int64_t at = global_thread();
  if (at >= int64_t{s.cells()} * s.m) return;
  const int64_t cell = at / s.m, j = at % s.m;
  const float* M = metric + cell * s.C * s.C;
  const float* c0 = centre + cell * s.C;
  const float* q = queries + cell * s.C * s.m + j;
  float total = 0;
  for (int c = 0; c < s.C; ++c) {
    float sum = 0;
    for (int d = 0; d < s.C; ++d)
      sum = fmaf(M[int64_t{c} * s.C + d], q[int64_t{d} * s.m] - c0[d], sum);
    const float v = -2 * sum;
    transformed[(cell * s.C + c) * s.m + j] = v;
    total -= v * (0.5f * (q[int64_t{c} * s.m] - c0[c]) + c0[c]);
  }
  offset[at] = total;
}

/// A thread per bank feature of each window.
__global__ void __launch_bounds__(kThreads)
    norms_of_windows(LocalDensityShape s, const float* __restrict__ features,
                     const float* __restrict__ metric, const float* __restrict__ centre,
                     float* __restrict__ norms) {
  const int64_t at = global_thread();
  if (at >= int64_t{s.cells()} * s.window() * s.n) return;
  const int64_t i = at % s.n, place = at / s.n;
  const int cell = static_cast<int>(place / s.window()), k = static_cast<int>(place % s.window());
  const float* M = metric + int64_t{cell} * s.C * s.C;
  const float* c0 = centre + int64_t{cell} * s.C;
  const float* b = features + int64_t{s.neighbour(cell, k)} * s.C * s.n + i;
  float norm = 0;
  for (int c = 0; c < s.C; ++c) {
    float sum = 0;
    for (int d = 0; d < s.C; ++d)
      sum = fmaf(M[int64_t{c} * s.C + d], b[int64_t{d} * s.n] - c0[d], sum);
    norm = fmaf(sum, b[int64_t{c} * s.n] - c0[c], norm);
  }
  norms[at] = norm;
}

/// A thread per cell and pair of channels (d <= C; d = C is the sum): moments (cells, C, C + 1).
__global__ void __launch_bounds__(kThreads)
    moments_of_cells(LocalDensityShape s, const float* __restrict__ features,
                     double* __restrict__ moments) {
  const int64_t at = global_thread(), C = s.C;
  if (at >= s.cells() * C * (C + 1)) return;
  const int64_t d = at % (C + 1), c = at / (C + 1) % C, cell = at / (C + 1) / C;
  const float* x = features + (cell * C + c) * s.n;
  const float* y = features + (cell * C + d) * s.n;
  double sum = 0;
  for (int i = 0; i < s.n; ++i) sum += d == C ? double{x[i]} : double{x[i]} * y[i];
  moments[at] = sum;
}

/// A block per cell: the covariance of its window, inverted in place by Gauss-Jordan steps.
__global__ void __launch_bounds__(kThreads)
    invert_covariances(LocalDensityShape s, double ridge, const double* __restrict__ moments,
                       double* inverse, float* __restrict__ centre, float* __restrict__ metric,
                       int* failed) {
  const int cell = static_cast<int>(blockIdx.x), C = s.C;
  const int thread = static_cast<int>(threadIdx.x);
  const double count = static_cast<double>(s.window()) * s.n;
  double* const a = inverse + int64_t{cell} * C * C;
  const auto window_mean = [&](int c, int d) {
    double sum = 0;
    for (int k = 0; k < s.window(); ++k)
      sum += moments[(int64_t{s.neighbour(cell, k)} * C + c) * (C + 1) + d];
    return sum / count;
  };
  for (int e = thread; e < C * C; e += kThreads) {
    const int c = e / C, d = e % C;
    a[e] = window_mean(c, d) - window_mean(c, C) * window_mean(d, C) + (c == d ? ridge : 0);
  }
  for (int c = thread; c < C; c += kThreads)
    centre[int64_t{cell} * C + c] = static_cast<float>(window_mean(c, C));
  __syncthreads();
  for (int k = 0; k < C; ++k) {
    const double pivot = a[k * C + k];
    if (thread == 0 && !(pivot > 0 && pivot < HUGE_VAL)) atomicMax(failed, cell + 1);
    __syncthreads();
    for (int j = thread; j < C; j += kThreads) a[k * C + j] = (j == k ? 1 : a[k * C + j]) / pivot;
    __syncthreads();
    // Column k is read by all threads of its row and written last.
    for (int e = thread; e < C * C; e += kThreads) {
      const int i = e / C, j = e % C;
      if (i != k && j != k) a[e] -= a[i * C + k] * a[k * C + j];
    }
    __syncthreads();
    for (int i = thread; i < C; i += kThreads)
      if (i != k) a[i * C + k] *= -a[k * C + k];
    __syncthreads();
  }
  for (int e = thread; e < C * C; e += kThreads)  // symmetric to the bit
    metric[int64_t{cell} * C * C + e] = static_cast<float>(0.5 * (a[e] + a[e % C * C + e / C]));
}

/// A thread per query and cell: no reuse but the caches'.
__global__ void __launch_bounds__(kThreads) naive_density(DensityProblem p) {
  const int64_t at = global_thread();
  if (at >= int64_t{p.s.cells()} * p.s.m) return;
  const int cell = static_cast<int>(at / p.s.m), j = static_cast<int>(at % p.s.m);
  const float* q = p.query + int64_t{cell} * p.s.C * p.s.m + j;
  NearestAndSum state;
  for (int k = 0; k < p.s.window(); ++k) {
    const float* b = p.features + int64_t{p.s.neighbour(cell, k)} * p.s.C * p.s.n;
    const float* norms = p.norms + (int64_t{cell} * p.s.window() + k) * p.s.n;
    for (int i = 0; i < p.s.n; ++i) {
      if (!counts(p, i, j)) continue;
      float d = norms[i];
      for (int64_t c = 0; c < p.s.C; ++c) d = fmaf(q[c * p.s.m], b[c * p.s.n + i], d);
      state.add(d, p.scale);
    }
  }
  finish(p, cell, j, state);
}

}  // namespace

void local_density_naive(Context& ctx, const DensityProblem& p) {
  launch(naive_density, blocks_for(int64_t{p.s.cells()} * p.s.m, kThreads), kThreads, 0,
         stream_of(ctx), p);
}

void local_metric(Context& ctx, const LocalDensityShape& s, double ridge, const float* features,
                  float* centre, float* metric) {
  const int64_t C = s.C, cells = s.cells();
  const Scratch moments(ctx, sizeof(double) * cells * C * (C + 1)),
      inverse(ctx, sizeof(double) * cells * C * C), failed(ctx, sizeof(int));
  int cell = 0;
  copy_bytes(ctx, failed.as<int>(), ctx.device, &cell, Device::cpu(), sizeof(int));
  launch(moments_of_cells, blocks_for(cells * C * (C + 1), kThreads), kThreads, 0, stream_of(ctx),
         s, features, moments.as<double>());
  launch(invert_covariances, static_cast<unsigned>(cells), kThreads, 0, stream_of(ctx), s, ridge,
         moments.as<double>(), inverse.as<double>(), centre, metric, failed.as<int>());
  copy_bytes(ctx, &cell, Device::cpu(), failed.as<int>(), ctx.device, sizeof(int));
  if (cell > 0)
    throw Error("local_metric: the covariance of cell " + std::to_string(cell - 1) +
                " is not finite, or the ridge is lost in its rounding");
}

void local_bank_norms(Context& ctx, const LocalDensityShape& s, const float* features,
                      const float* metric, const float* centre, float* norms) {
  launch(norms_of_windows, blocks_for(int64_t{s.cells()} * s.window() * s.n, kThreads), kThreads, 0,
         stream_of(ctx), s, features, metric, centre, norms);
}

void local_density(Context& ctx, const LocalDensityShape& s, const LocalKernel& kernel,
                   const LocalBank<float>& bank, const float* queries, const int* query_image,
                   float* scores) {
  if (s.m == 0) return;
  const int64_t rows = int64_t{s.cells()} * s.m;
  const Scratch transformed(ctx, sizeof(float) * rows * s.C), offset(ctx, sizeof(float) * rows);
  launch(transform_queries, blocks_for(rows, kThreads), kThreads, 0, stream_of(ctx), s, bank.metric,
         bank.centre, queries, transformed.as<float>(), offset.as<float>());
  const bool nearest = kernel.kind == LocalKernel::Kind::nearest;
  const DensityProblem p{
      .s = s,
      .features = bank.features,
      .norms = bank.norms,
      .image = bank.image,
      .query = transformed.as<float>(),
      .offset = offset.as<float>(),
      .query_image = query_image,
      .scale = nearest ? 0.0f : static_cast<float>(1 / (2 * kernel.s * kernel.s)),
      .scores = scores};
  const bool fp32 = ctx.precision == Precision::fp32 || ctx.precision == Precision::fp32_strict;
  switch (ctx.algorithm) {
    case Algorithm::naive:
      return local_density_naive(ctx, p);
    case Algorithm::tiled:
      return local_density_tiled(ctx, p);
    case Algorithm::pipelined:
      return local_density_product(ctx, p, false);
    case Algorithm::tensor_core:
      return local_density_product(ctx, p, true);
    default:
      return local_density_product(ctx, p, !fp32);
  }
}

}  // namespace assay::cuda
