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

/// Largest number of dimensions of a call of add_dot_products, so that its centred queries stay in
/// the first-level cache.
inline constexpr int kKdeDimensions = 512;

ASSAY_ISA_DECLARE(
    /// dots (q.count, x.count) += (q - centre).(x - centre) over `dimensions` dimensions, computed
    /// as (q - centre).x - (q - centre).centre. Centring one side is accurate enough in double.
    void add_dot_products(const KdePoints& q, const KdePoints& x, int64_t dimensions,
                          const double* centre, double* dots);
    /// |p - centre|^2 over `dimensions` dimensions.
    double centred_square(const float* p, int64_t dimensions, const double* centre);)

}  // namespace assay
