// The definition of the Gaussian kernel density, in double.
#pragma once

#include "kernels/kde/kde.h"
#include "kernels/kde/kde_formula.h"

namespace assay::ref {

/// Distances from differences: without the expansion nothing cancels.
template <class T>
void squared_distances(const KdeShape& s, const T* train, const T* queries, double* distances) {
  for (int64_t j = 0; j < s.m; ++j)
    for (int64_t i = 0; i < s.n; ++i) {
      double sum = 0;
      for (int64_t d = 0; d < s.D; ++d) {
        const double diff = double{queries[j * s.D + d]} - double{train[i * s.D + d]};
        sum += diff * diff;
      }
      distances[j * s.n + i] = sum;
    }
}

template <class T>
void kde_log_density(const KdeShape& s, double h, const T* train, const T* queries,
                     double* log_density) {
  std::vector<double> distances(s.n);
  for (int64_t j = 0; j < s.m; ++j) {
    ref::squared_distances({s.n, 1, s.D}, train, queries + j * s.D, distances.data());
    OnlineLogSumExp sum;
    for (double d : distances) sum.add(-d / (2 * h * h));
    log_density[j] = kde_log_normaliser(s.n, s.D, h) + sum.value();
  }
}

}  // namespace assay::ref
