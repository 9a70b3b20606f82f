// Kernel density of features around each cell of a grid, with one metric per cell.
//
//   d^2(q, b)     = (q - b)^T M_p (q - b)     query q at cell p, bank feature b of the window
//   nearest:        min over b of d^2(q, b)
//   log_sum_exp:    -2 s^2 log mean over b of exp(-d^2(q, b) / (2 s^2))
//
// The bank of cell p is the features of all n images in the (2 radius + 1)^2 window around p; at
// the edge of the grid cells repeat. The sums are one product per cell, (queries x C)(C x bank),
// because with q' = -2 M_p (q - c) and the norm |b|^2 = (b - c)^T M_p (b - c)
//
//   d^2(q, b) = |b|^2 + q'.b + [(q - c)^T M_p (q - c) - q'.c]
//
// for any point c. A c near the bank keeps the terms, and so their rounding, small. The bank is
// stored once and not once per window, and no distance is ever written.
#pragma once

#include <cstdint>

#include "kernels/runtime/context.h"

namespace assay {

/// Throws Error from each function below if a number is out of its range.
struct LocalDensityShape {
  static constexpr int kMaxRadius = 4;
  int height, width;  ///< cells of the grid
  int radius;         ///< of the window, in cells; 0 to kMaxRadius
  int n;              ///< bank features per cell: one per image
  int m;              ///< queries per cell
  int C;              ///< channels

  ASSAY_HD int cells() const { return height * width; }
  ASSAY_HD int window() const { return (2 * radius + 1) * (2 * radius + 1); }
  /// The k-th cell of the window around `cell`, clamped to the grid.
  ASSAY_HD int neighbour(int cell, int k) const {
    const int side = 2 * radius + 1;
    const int y = cell / width + k / side - radius, x = cell % width + k % side - radius;
    return (y < 0         ? 0
            : y >= height ? height - 1
                          : y) *
               width +
           (x < 0        ? 0
            : x >= width ? width - 1
                         : x);
  }
};

struct LocalKernel {
  enum class Kind : uint8_t { nearest, log_sum_exp };
  Kind kind = Kind::nearest;
  double s = 1;  ///< bandwidth of log_sum_exp, > 0
};

template <class T>
struct LocalBank {
  const T* features;           // (cells, C, n)
  const T* metric;             // (cells, C, C): M_p, symmetric and positive definite
  const T* centre;             // (cells, C): c of each cell
  const T* norms;              // (cells, window, n), from local_bank_norms()
  const int* image = nullptr;  // (n): the image of each bank feature; null = 0, 1, ...
};

/// Writes centre (cells,C), the mean of each cell's bank, and metric (cells,C,C),
/// (covariance + ridge I)^-1. The covariance is divided by the number of features; ridge > 0.
/// Throws Error if a covariance is not finite or so large that the ridge is lost in its rounding.
template <class T>
void local_metric(Context& ctx, const LocalDensityShape& s, double ridge, const T* features,
                  T* centre, T* metric);

/// Writes norms (cells,window,n): (b - c)^T M_p (b - c).
template <class T>
void local_bank_norms(Context& ctx, const LocalDensityShape& s, const T* features, const T* metric,
                      const T* centre, T* norms);

/// Writes scores (cells,m) of queries (cells,C,m). Bank features of the query's own image do not
/// count: `query_image` (m) names it, -1 for an image that is not in the bank; null means -1 for
/// all. A score is infinity if no feature counts. local_density_ref.h bounds the rounding of fp32.
template <class T>
void local_density(Context& ctx, const LocalDensityShape& s, const LocalKernel& kernel,
                   const LocalBank<T>& bank, const T* queries, const int* query_image, T* scores);

/// 2 cells m C window n: the product alone, a multiply-add counting as two.
int64_t local_density_flops(const LocalDensityShape& s);

}  // namespace assay
