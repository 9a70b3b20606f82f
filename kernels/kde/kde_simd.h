// The vector loops of kde_simd.cpp, once per instruction set, on one thread. Points are rows of D
// floats; the centre is subtracted in double.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

/// Some points, `stride` floats from one to the next.
struct KdePoints {
  const float* first;
  int64_t stride;
  int count;
};

ASSAY_ISA_DECLARE(
    /// dots (q.count, x.count) += (q - centre).(x - centre) over `dimensions` dimensions.
    void add_dot_products(const KdePoints& q, const KdePoints& x, int64_t dimensions,
                          const double* centre, double* dots);
    /// |p - centre|^2 over `dimensions` dimensions.
    double centred_square(const float* p, int64_t dimensions, const double* centre);)

}  // namespace assay
