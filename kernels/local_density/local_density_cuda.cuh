// What the versions of local density on CUDA share: the problem, with transformed queries, and the
// running state of a query over its bank.
#pragma once

#include "kernels/local_density/local_density.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

struct DensityProblem {
  LocalDensityShape s;
  const float* features;   // (cells, C, n)
  const float* norms;      // (cells, window, n)
  const int* image;        // (n) or null: 0, 1, ...
  const float* query;      // (cells, C, m): q' = -2 M (q - c)
  const float* offset;     // (cells, m): d^2 - (|b|^2 + q'.b)
  const int* query_image;  // (m) or null
  float scale;             // 1 / (2 s^2); 0 for `nearest`
  float* scores;           // (cells, m)
};

/// Whether feature i of a cell counts for query j.
__device__ __forceinline__ bool counts(const DensityProblem& p, int i, int j) {
  if (p.query_image == nullptr) return true;
  return (p.image != nullptr ? p.image[i] : i) != p.query_image[j];
}

/// A query's state over the features so far, without its offset: the minimum of d, and the sum of
/// exp(-scale (d - minimum)).
struct NearestAndSum {
  float nearest = INFINITY, sum = 0;

  __device__ void add(float d, float scale) {
    if (scale > 0) merge({d, 1}, scale);
    nearest = fminf(nearest, d);
  }
  __device__ void merge(const NearestAndSum& o, float scale) {
    if (o.nearest == INFINITY) return;
    if (scale > 0) {
      const float less = expf(-scale * fabsf(o.nearest - nearest));
      sum = o.nearest < nearest ? sum * less + o.sum : sum + o.sum * less;
    }
    nearest = fminf(nearest, o.nearest);
  }
};

/// The score of query j of a cell.
__device__ inline void finish(const DensityProblem& p, int64_t cell, int j,
                              const NearestAndSum& state) {
  float& out = p.scores[cell * p.s.m + j];
  const float d = state.nearest + p.offset[cell * p.s.m + j];
  if (state.nearest == INFINITY) {
    out = INFINITY;
  } else if (p.scale == 0) {
    out = fmaxf(d, 0.0f);  // rounding may make it slightly negative
  } else {
    int own = 0;
    for (int i = 0; i < p.s.n; ++i) own += !counts(p, i, j);
    const double count = static_cast<double>(p.s.window()) * (p.s.n - own);
    out = static_cast<float>(d - log(state.sum / count) / static_cast<double>(p.scale));
  }
}

/// A thread per query.
void local_density_naive(Context& ctx, const DensityProblem& p);
/// Tiles of queries and features in shared memory.
void local_density_tiled(Context& ctx, const DensityProblem& p);
/// The pipeline of the matrix product: multiply-adds, or three TF32 products on tensor cores.
void local_density_product(Context& ctx, const DensityProblem& p, bool tensor_cores);

}  // namespace assay::cuda
