// The implementations behind kde.h; the dispatch in kde.cpp picks one.
#pragma once

#include "kernels/kde/kde.h"

namespace assay {
namespace cpu {
void kde_log_density(Context& ctx, const KdeShape& s, double h, const float* train,
                     const float* queries, double* log_density);
void squared_distances(Context& ctx, const KdeShape& s, const float* train, const float* queries,
                       double* distances);
}  // namespace cpu

namespace cuda {
void kde_log_density(Context& ctx, const KdeShape& s, double h, const float* train,
                     const float* queries, double* log_density);
void squared_distances(Context& ctx, const KdeShape& s, const float* train, const float* queries,
                       double* distances);
}  // namespace cuda
}  // namespace assay
