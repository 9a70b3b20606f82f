#include "kernels/kde/kde_simd.h"

#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

/// Dot products of Q queries with X points: each number is loaded, widened and centred once for a
/// whole row or column of the tile, whose sums stay in registers.
template <int Q, int X>
ASSAY_INLINE void add_tile(const float* q, int64_t q_stride, const float* x, int64_t x_stride,
                           int64_t dimensions, const double* centre, double* dots, int ld) {
  vd acc[Q][X] = {};
  int64_t d = 0;
  for (; d + kDoubleLanes <= dimensions; d += kDoubleLanes) {
    const vd c = load(centre + d);
    vd qi[Q];
#pragma GCC unroll 8
    for (int i = 0; i < Q; ++i) qi[i] = load_as_double(q + i * q_stride + d) - c;
#pragma GCC unroll 8
    for (int j = 0; j < X; ++j) {
      const vd xj = load_as_double(x + j * x_stride + d) - c;
#pragma GCC unroll 8
      for (int i = 0; i < Q; ++i) acc[i][j] += qi[i] * xj;
    }
  }
  for (int i = 0; i < Q; ++i)
    for (int j = 0; j < X; ++j) {
      double dot = sum(acc[i][j]);
      for (int64_t k = d; k < dimensions; ++k)
        dot += (q[i * q_stride + k] - centre[k]) * (x[j * x_stride + k] - centre[k]);
      dots[i * ld + j] += dot;
    }
}

}  // namespace

void add_dot_products(const KdePoints& q, const KdePoints& x, int64_t dimensions,
                      const double* centre, double* dots) {
  // As many sums as the registers hold beside the operands: 32 registers with AVX-512, else 16.
  constexpr int kQ = kLanes == 16 ? 4 : 2, kX = 4;
  int i = 0;
  for (; i + kQ <= q.count; i += kQ) {
    const float* qi = q.first + i * q.stride;
    int j = 0;
    for (; j + kX <= x.count; j += kX)
      add_tile<kQ, kX>(qi, q.stride, x.first + j * x.stride, x.stride, dimensions, centre,
                       dots + i * x.count + j, x.count);
    for (; j < x.count; ++j)
      add_tile<kQ, 1>(qi, q.stride, x.first + j * x.stride, x.stride, dimensions, centre,
                      dots + i * x.count + j, x.count);
  }
  for (; i < q.count; ++i) {
    int j = 0;
    for (; j + kX <= x.count; j += kX)
      add_tile<1, kX>(q.first + i * q.stride, q.stride, x.first + j * x.stride, x.stride,
                      dimensions, centre, dots + i * x.count + j, x.count);
    for (; j < x.count; ++j)
      add_tile<1, 1>(q.first + i * q.stride, q.stride, x.first + j * x.stride, x.stride, dimensions,
                     centre, dots + i * x.count + j, x.count);
  }
}

double centred_square(const float* p, int64_t dimensions, const double* centre) {
  double square = 0;
  add_tile<1, 1>(p, 0, p, 0, dimensions, centre, &square, 1);
  return square;
}

}  // namespace assay::cpu::ASSAY_ISA
