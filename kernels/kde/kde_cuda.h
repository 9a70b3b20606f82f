// The rungs of kernel density on CUDA devices; kde_cuda.cu picks one.
#pragma once

#include "kernels/kde/kde.h"
#include "kernels/kde/kde_formula.h"

namespace assay::cuda {

/// A rung: the sums over the training points, cut into `parts` by shape alone.
/// sums (m, parts) gets one OnlineLogSumExp of -|q - x|^2 / (2 h^2) per query and part.
int kde_parts_naive(const KdeShape& s);
void kde_sums_naive(Context& ctx, const KdeShape& s, double h, const float* train,
                    const float* queries, OnlineLogSumExp* sums);
/// distances (m, n).
void squared_distances_naive(Context& ctx, const KdeShape& s, const float* train,
                             const float* queries, double* distances);

}  // namespace assay::cuda
