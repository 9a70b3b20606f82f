// Gaussian kernel density in many dimensions.
//
//   log p(q) = -ln n - (D/2) ln(2 pi h^2) + logsumexp_i( -|q - x_i|^2 / (2 h^2) )
//
// Distances are expanded, |q|^2 + |x|^2 - 2 q.x, after the mean of the training points is
// subtracted from both. This leaves distances unchanged and keeps the terms of the expansion small,
// without which its rounding at D = 8192 would exceed the distances.
#pragma once

#include <vector>

#include "kernels/runtime/context.h"

namespace assay {

struct KdeShape {
  int n;  ///< training points, at least 1
  int m;  ///< queries
  int D;  ///< dimensions, at least 1
};

/// Writes log_density (m), in nats, of queries (m,D) for train (n,D) and bandwidth h > 0. The sum
/// over training points runs online, so no m x n matrix is kept. On the CPU the relative error to
/// float64 is below 1e-6 for any input, because products are summed in double. Throws Error for a
/// shape without points or dimensions and for h <= 0.
template <class T>
void kde_log_density(Context& ctx, const KdeShape& s, double h, const T* train, const T* queries,
                     double* log_density);

/// Writes distances (m,n), squared Euclidean, for the bandwidth rules. Throws Error as above.
template <class T>
void squared_distances(Context& ctx, const KdeShape& s, const T* train, const T* queries,
                       double* distances);

}  // namespace assay
