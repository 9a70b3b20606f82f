#include "models/detectors/eigen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace assay {
namespace {

double off_diagonal(const std::vector<double>& a, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < i; ++j) sum += a[i * n + j] * a[i * n + j];
  return sum;
}

/// Rotates rows and columns p and q of `a` so that a(p,q) = 0, and rows p and q of `v` likewise.
void rotate(std::vector<double>& a, std::vector<double>& v, int n, int p, int q) {
  if (a[p * n + q] == 0) return;
  const double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
  const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::hypot(theta, 1.0));
  const double c = 1 / std::hypot(t, 1.0), s = t * c;
  for (int k = 0; k < n; ++k) {
    const double kp = a[k * n + p], kq = a[k * n + q];
    a[k * n + p] = c * kp - s * kq;
    a[k * n + q] = s * kp + c * kq;
  }
  for (int k = 0; k < n; ++k) {
    const double pk = a[p * n + k], qk = a[q * n + k];
    a[p * n + k] = c * pk - s * qk;
    a[q * n + k] = s * pk + c * qk;
  }
  for (int k = 0; k < n; ++k) {
    const double pk = v[p * n + k], qk = v[q * n + k];
    v[p * n + k] = c * pk - s * qk;
    v[q * n + k] = s * pk + c * qk;
  }
}

}  // namespace

SymmetricEigen symmetric_eigen(std::vector<double> a, int n) {
  constexpr int kMaxSweeps = 30;
  std::vector<double> v(static_cast<size_t>(n) * n);
  double diagonal = 0;
  for (int i = 0; i < n; ++i) {
    v[i * n + i] = 1;
    diagonal += a[i * n + i] * a[i * n + i];
  }
  for (int sweep = 0; sweep < kMaxSweeps && off_diagonal(a, n) > 1e-26 * diagonal; ++sweep)
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) rotate(a, v, n, p, q);
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int i, int j) { return a[i * n + i] > a[j * n + j]; });
  SymmetricEigen eigen;
  for (const int i : order) {
    eigen.values.push_back(a[i * n + i]);
    eigen.vectors.insert(eigen.vectors.end(), v.begin() + i * n, v.begin() + (i + 1) * n);
  }
  return eigen;
}

}  // namespace assay
