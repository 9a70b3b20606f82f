// The definition of the local density, in double: distances from differences, without the
// expansion.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kde/kde_formula.h"
#include "kernels/local_density/local_density.h"
#include "kernels/runtime/error.h"

namespace assay::ref {

/// Inverts a symmetric positive definite (C,C) matrix in place (Gauss-Jordan; such a matrix needs
/// no exchange of rows). Returns false if a pivot is not above 0.
inline bool invert_positive_definite(int64_t C, double* a) {
  for (int64_t k = 0; k < C; ++k) {
    const double pivot = a[k * C + k];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    for (int64_t j = 0; j < C; ++j) a[k * C + j] /= j == k ? pivot * pivot : pivot;
    for (int64_t i = 0; i < C; ++i) {
      if (i == k) continue;
      const double factor = a[i * C + k];
      for (int64_t j = 0; j < C; ++j)
        a[i * C + j] = (j == k ? 0 : a[i * C + j]) - factor * a[k * C + j];
    }
  }
  return true;
}

template <class T>
void local_metric(const LocalDensityShape& s, double ridge, const T* features, T* centre,
                  T* metric) {
  const int64_t C = s.C, n = s.n;
  const double count = static_cast<double>(s.window()) * s.n;
  for (int p = 0; p < s.cells(); ++p) {
    std::vector<double> mean(C), a(C * C);
    const auto feature = [&](int k, int64_t c, int64_t i) {
      return double{features[(s.neighbour(p, k) * C + c) * n + i]};
    };
    for (int k = 0; k < s.window(); ++k)
      for (int64_t c = 0; c < C; ++c)
        for (int64_t i = 0; i < n; ++i) mean[c] += feature(k, c, i) / count;
    for (int k = 0; k < s.window(); ++k)
      for (int64_t c = 0; c < C; ++c)
        for (int64_t d = 0; d < C; ++d)
          for (int64_t i = 0; i < n; ++i)
            a[c * C + d] += (feature(k, c, i) - mean[c]) * (feature(k, d, i) - mean[d]) / count;
    for (int64_t c = 0; c < C; ++c) a[c * C + c] += ridge;
    ASSAY_CHECK(invert_positive_definite(C, a.data()),
                "local_metric: the covariance of cell {} is not finite", p);
    for (int64_t c = 0; c < C; ++c) centre[p * C + c] = static_cast<T>(mean[c]);
    for (int64_t c = 0; c < C * C; ++c) metric[p * C * C + c] = static_cast<T>(a[c]);
  }
}

/// (x - y)^T M (x - y); `step` elements from one channel to the next.
template <class T>
double local_distance(int64_t C, const T* metric, const T* x, int64_t x_step, const T* y,
                      int64_t y_step) {
  double sum = 0;
  for (int64_t c = 0; c < C; ++c) {
    double row = 0;
    for (int64_t d = 0; d < C; ++d)
      row += double{metric[c * C + d]} * (double{x[d * x_step]} - double{y[d * y_step]});
    sum += (double{x[c * x_step]} - double{y[c * y_step]}) * row;
  }
  return sum;
}

template <class T>
void local_bank_norms(const LocalDensityShape& s, const T* features, const T* metric,
                      const T* centre, T* norms) {
  const int64_t C = s.C, n = s.n;
  for (int p = 0; p < s.cells(); ++p)
    for (int k = 0; k < s.window(); ++k)
      for (int64_t i = 0; i < n; ++i)
        norms[(int64_t{p} * s.window() + k) * n + i] = static_cast<T>(local_distance(
            C, metric + p * C * C, centre + p * C, 1, features + s.neighbour(p, k) * C * n + i, n));
}

template <class T>
void local_density(const LocalDensityShape& s, const LocalKernel& kernel, const LocalBank<T>& bank,
                   const T* queries, const int* query_image, T* scores) {
  const int64_t C = s.C, n = s.n;
  const double scale = -1 / (2 * kernel.s * kernel.s);
  for (int p = 0; p < s.cells(); ++p)
    for (int64_t j = 0; j < s.m; ++j) {
      double nearest = std::numeric_limits<double>::infinity();
      OnlineLogSumExp sum;
      int64_t count = 0;
      for (int k = 0; k < s.window(); ++k)
        for (int64_t i = 0; i < n; ++i) {
          const int image = bank.image != nullptr ? bank.image[i] : static_cast<int>(i);
          if (query_image != nullptr && query_image[j] == image) continue;
          const double d = local_distance(C, bank.metric + p * C * C, queries + p * C * s.m + j,
                                          s.m, bank.features + s.neighbour(p, k) * C * n + i, n);
          nearest = std::min(nearest, d);
          sum.add(scale * d);
          ++count;
        }
      const double density = (sum.value() - std::log(static_cast<double>(count))) / scale;
      scores[p * int64_t{s.m} + j] = static_cast<T>(
          count == 0 || kernel.kind == LocalKernel::Kind::nearest ? nearest : density);
    }
}

/// Bound on the difference between a float version and the definition at cell p for query q, whose
/// channels are s.m apart. The absolute values of the expansion's terms add to at most
///
///   S = (|q - c| + |b - c| + |c|)^T |M| (|q - c| + |b - c| + |c|)
///
/// and each term passes through at most 2 C + 8 roundings, so (2 C + 8) u S with u = eps / 2 bounds
/// a distance (Higham, "Accuracy and Stability", 3.1), their minimum, and the log-mean-exp of exact
/// exponentials. Rounding in the sum of exponentials adds the second term: a relative error of the
/// sum is an absolute error of its logarithm.
inline double local_density_bound(const LocalDensityShape& s, const LocalKernel& kernel,
                                  const LocalBank<float>& bank, const float* query, int p) {
  constexpr double u = 0.5 * std::numeric_limits<float>::epsilon();
  const int64_t C = s.C, n = s.n;
  std::vector<double> terms(C);
  double worst = 0;
  for (int k = 0; k < s.window(); ++k)
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t c = 0; c < C; ++c) {
        const double centre = bank.centre[p * C + c];
        terms[c] = std::abs(query[c * s.m] - centre) + std::abs(centre) +
                   std::abs(bank.features[(s.neighbour(p, k) * C + c) * n + i] - centre);
      }
      double S = 0;
      for (int64_t c = 0; c < C; ++c)
        for (int64_t d = 0; d < C; ++d)
          S += terms[c] * std::abs(double{bank.metric[(p * C + c) * C + d]}) * terms[d];
      worst = std::max(worst, S);
    }
  const double distance = (2.0 * s.C + 8) * u * worst;
  if (kernel.kind == LocalKernel::Kind::nearest) return distance;
  // An exponential is good to 3 units in the last place, and its argument to u of itself; arguments
  // below -104 give 0. A lane adds at most `window n` exponentials.
  const double sum = (104.0 + 6 + static_cast<double>(s.window()) * s.n) * 2 * u;
  return distance + 2 * kernel.s * kernel.s * sum;
}

}  // namespace assay::ref
