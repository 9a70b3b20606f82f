// Gaussian kernel density in many dimensions.
//
//   log p(q) = -ln n - (D/2) ln(2 pi h^2) + logsumexp_i( -|q - x_i|^2 / (2 h^2) )
//
// Distances are expanded, |q|^2 + |x|^2 - 2 q.x, after the mean of the training points is
// subtracted from both (a distance does not notice), or at D = 8192 the expansion loses the answer.
#pragma once

#include <vector>

#include "kernels/runtime/context.h"

namespace assay {

struct KdeShape {
  int n;  ///< training points, at least 1
  int m;  ///< queries
  int D;  ///< dimensions
};

/// log_density (m) in nats for bandwidth h > 0; train (n,D), queries (m,D). The sum over training
/// points runs online (running maximum and sum), so no m x n matrix is kept. On the CPU within 1e-6
/// relative of the float64 value for any input (products and sums are accumulated in double).
template <class T>
void kde_log_density(Context& ctx, const KdeShape& s, double h, const T* train, const T* queries,
                     double* log_density);

/// distances (m,n): squared Euclidean distances, in double; for the bandwidth rules.
template <class T>
void squared_distances(Context& ctx, const KdeShape& s, const T* train, const T* queries,
                       double* distances);

}  // namespace assay
