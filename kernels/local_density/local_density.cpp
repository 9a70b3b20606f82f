#include "kernels/local_density/local_density.h"

#include "kernels/local_density/local_density_backends.h"
#include "kernels/local_density/local_density_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {
void check(const LocalDensityShape& s) {
  ASSAY_CHECK(
      s.height >= 1 && s.width >= 1 && s.radius >= 0 && s.n >= 1 && s.m >= 0 && s.C >= 1,
      "local_density: a grid of {} x {}, radius {}, {} bank features, {} queries, {} channels; "
      "every number but radius and queries must be at least 1",
      s.height, s.width, s.radius, s.n, s.m, s.C);
  ASSAY_CHECK(s.radius <= LocalDensityShape::kMaxRadius, "local_density: radius {} is above {}",
              s.radius, LocalDensityShape::kMaxRadius);
}
}  // namespace

template <class T>
void local_metric(Context& ctx, const LocalDensityShape& s, double ridge, const T* features,
                  T* centre, T* metric) {
  check(s);
  ASSAY_CHECK(ridge > 0, "local_metric: ridge {} is not above 0", ridge);
  ASSAY_DISPATCH(T, ctx, local_metric, s, ridge, features, centre, metric);
}

template <class T>
void local_bank_norms(Context& ctx, const LocalDensityShape& s, const T* features, const T* metric,
                      const T* centre, T* norms) {
  check(s);
  ASSAY_DISPATCH(T, ctx, local_bank_norms, s, features, metric, centre, norms);
}

template <class T>
void local_density(Context& ctx, const LocalDensityShape& s, const LocalKernel& kernel,
                   const LocalBank<T>& bank, const T* queries, const int* query_image, T* scores) {
  check(s);
  ASSAY_CHECK(kernel.s > 0, "local_density: bandwidth {} is not above 0", kernel.s);
  ASSAY_DISPATCH(T, ctx, local_density, s, kernel, bank, queries, query_image, scores);
}

int64_t local_density_flops(const LocalDensityShape& s) {
  return 2 * int64_t{s.cells()} * s.m * s.C * s.window() * s.n;
}

#define ASSAY_INSTANTIATE(T)                                                                       \
  template void local_metric(Context& ctx, const LocalDensityShape& s, double ridge,               \
                             const T* features, T* centre, T* metric);                             \
  template void local_bank_norms(Context& ctx, const LocalDensityShape& s, const T* features,      \
                                 const T* metric, const T* centre, T* norms);                      \
  template void local_density(Context& ctx, const LocalDensityShape& s, const LocalKernel& kernel, \
                              const LocalBank<T>& bank, const T* queries, const int* query_image,  \
                              T* scores)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
#undef ASSAY_INSTANTIATE

}  // namespace assay
