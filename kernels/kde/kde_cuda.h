// The versions of kernel density on CUDA devices; kde_cuda.cu chooses one.
#pragma once

#include "kernels/kde/kde.h"
#include "kernels/kde/kde_formula.h"

namespace assay::cuda {

/// sums (m, parts) gets one OnlineLogSumExp of -|q - x|^2 / (2 h^2) per query and part of the
/// training points; distances (m, n) gets |q - x|^2. One of them is null.
struct KdeOutputs {
  double h = 1;
  OnlineLogSumExp* sums = nullptr;
  double* distances = nullptr;
};

/// Number of parts of the training points; depends on the shape alone.
int kde_parts(const KdeShape& s);
/// Points of each part but the last; a multiple of 64.
int kde_points_of_part(const KdeShape& s);

/// A warp per pair, squared differences.
void kde_naive(Context& ctx, const KdeShape& s, const float* train, const float* queries,
               const KdeOutputs& out);
/// Products of centred points: multiply-adds for fp32, three TF32 products for the other
/// precisions.
void kde_product(Context& ctx, const KdeShape& s, const float* train, const float* queries,
                 const KdeOutputs& out);

}  // namespace assay::cuda
