// The vector loops of local_density_simd.cpp, once per instruction set, on one thread.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

/// Distances from here on are those to features that do not count.
inline constexpr float kFarDistance = 1e30f;

/// Largest number of queries of a job, so that their states for one panel stay in the first-level
/// cache.
inline constexpr int kLocalQueries = 120;

/// Some queries of one cell against its whole bank.
struct LocalDensityJob {
  int C, n, m, window;
  int first, queries;      ///< range of the cell's m queries, at most kLocalQueries
  const float* query;      // (C, m)
  const int* query_image;  // (queries), or null
  const float* metric;     // (C, C)
  const float* centre;     // (C)
  /// features[k] (C, n) are those of the k-th cell of the window.
  const float* const* features;
  const float* norms;  // (window, n)
  const int* image;    // (n): never null
  float scale;         ///< 1 / (2 s^2); 0 for `nearest`
  float* work;         // local_density_work(C) floats, aligned to 64
  float* nearest;      // (queries): minimum of d^2, kFarDistance or more if no feature counts
  double* log_sum;     // (queries): log sum exp(-scale d^2); not written if scale is 0
};

ASSAY_ISA_DECLARE(int64_t local_density_work(int C);
                  void local_density_job(const LocalDensityJob& job);
                  /// norms (n) of features (C, n); `work` as above.
                  void local_norms(int C, int64_t n, const float* features, const float* metric,
                                   const float* centre, float* work, float* norms);
                  /// moments (C, C) = F F^T of F (C, n), both halves, and sums (C) over n.
                  void local_moments(int C, int64_t n, const float* features, float* moments,
                                     float* sums);
                  /// As ref::invert_positive_definite.
                  bool invert_positive_definite(int64_t C, double* a);)

}  // namespace assay
