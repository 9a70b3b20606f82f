#include "kernels/kde/kde.h"

#include "kernels/kde/kde_backends.h"
#include "kernels/kde/kde_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {
void check(const KdeShape& s) {
  ASSAY_CHECK(s.n >= 1 && s.m >= 0 && s.D >= 1,
              "kde: {} training points, {} queries, {} dimensions; at least one point and one "
              "dimension are needed",
              s.n, s.m, s.D);
}
}  // namespace

template <class T>
void kde_log_density(Context& ctx, const KdeShape& s, double h, const T* train, const T* queries,
                     double* log_density) {
  check(s);
  ASSAY_CHECK(h > 0, "kde: bandwidth {:g} is not above 0", h);
  ASSAY_DISPATCH(T, ctx, kde_log_density, s, h, train, queries, log_density);
}

template <class T>
void squared_distances(Context& ctx, const KdeShape& s, const T* train, const T* queries,
                       double* distances) {
  check(s);
  ASSAY_DISPATCH(T, ctx, squared_distances, s, train, queries, distances);
}

#define ASSAY_INSTANTIATE(T)                                                               \
  template void kde_log_density(Context& ctx, const KdeShape& s, double h, const T* train, \
                                const T* queries, double* log_density);                    \
  template void squared_distances(Context& ctx, const KdeShape& s, const T* train,         \
                                  const T* queries, double* distances)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
#undef ASSAY_INSTANTIATE

}  // namespace assay
