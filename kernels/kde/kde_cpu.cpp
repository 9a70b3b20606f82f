#include "kernels/kde/kde_backends.h"
#include "kernels/kde/kde_ref.h"

namespace assay::cpu {
void kde_log_density(Context&, const KdeShape& s, double h, const float* train,
                     const float* queries, double* log_density) {
  ref::kde_log_density(s, h, train, queries, log_density);
}
void squared_distances(Context&, const KdeShape& s, const float* train, const float* queries,
                       double* distances) {
  ref::squared_distances(s, train, queries, distances);
}
}  // namespace assay::cpu
