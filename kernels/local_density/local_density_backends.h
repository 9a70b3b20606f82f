// The float versions behind the templates of local_density.h.
#pragma once

#include "kernels/local_density/local_density.h"

#define ASSAY_LOCAL_DENSITY_BACKEND                                                          \
  void local_metric(Context&, const LocalDensityShape&, double ridge, const float* features, \
                    float* centre, float* metric);                                           \
  void local_bank_norms(Context&, const LocalDensityShape&, const float* features,           \
                        const float* metric, const float* centre, float* norms);             \
  void local_density(Context&, const LocalDensityShape&, const LocalKernel&,                 \
                     const LocalBank<float>&, const float* queries, const int* query_image,  \
                     float* scores);

namespace assay {
namespace cpu {
ASSAY_LOCAL_DENSITY_BACKEND
}
namespace cuda {
ASSAY_LOCAL_DENSITY_BACKEND
}
}  // namespace assay
#undef ASSAY_LOCAL_DENSITY_BACKEND
