// Gaussian kernel density, the definition, in double.
#pragma once

#include <cmath>

#include "kernels/kde/kde.h"

namespace assay::ref {

/// Without the expansion of the header: no cancellation, so no need to centre.
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

/// The sum over training points that runs online: `largest` exponent so far, and the sum of
/// exp(exponent - largest).
struct OnlineLogSumExp {
  double largest = -HUGE_VAL;
  double sum = 0;

  void add(double exponent) {
    if (exponent > largest) {
      sum = sum * std::exp(largest - exponent) + 1;
      largest = exponent;
    } else {
      sum += std::exp(exponent - largest);
    }
  }
  double value() const { return largest + std::log(sum); }
};

inline double kde_log_normaliser(const KdeShape& s, double h) {
  constexpr double kPi = 3.14159265358979323846;
  return -std::log(static_cast<double>(s.n)) - 0.5 * s.D * std::log(2 * kPi * h * h);
}

template <class T>
void kde_log_density(const KdeShape& s, double h, const T* train, const T* queries,
                     double* log_density) {
  std::vector<double> distances(s.n);
  for (int64_t j = 0; j < s.m; ++j) {
    ref::squared_distances({s.n, 1, s.D}, train, queries + j * s.D, distances.data());
    OnlineLogSumExp sum;
    for (double d : distances) sum.add(-d / (2 * h * h));
    log_density[j] = kde_log_normaliser(s, h) + sum.value();
  }
}

}  // namespace assay::ref
