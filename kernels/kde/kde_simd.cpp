#include "kernels/kde/kde_simd.h"

#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

/// Writes q - centre of one query as doubles; returns the negative of its product with the centre.
ASSAY_INLINE double centre_query(const float* q, int64_t dimensions, const double* centre,
                                 double* out) {
  vd product{};
  int64_t d = 0;
  for (; d + kDoubleLanes <= dimensions; d += kDoubleLanes) {
    const vd c = load(centre + d), difference = load_as_double(q + d) - c;
    store(out + d, difference);
    product -= difference * c;
  }
  double rest = 0;
  for (; d < dimensions; ++d) {
    out[d] = q[d] - centre[d];
    rest -= out[d] * centre[d];
  }
  return sum(product) + rest;
}

/// Dot products of Q centred queries with X points, on top of `start` of each query. Each number is
/// loaded once for a whole row or column of the tile, whose sums stay in registers.
template <int Q, int X>
ASSAY_INLINE void add_tile(const double* q, const double* start, const float* x, int64_t x_stride,
                           int64_t dimensions, double* dots, int ld) {
  vd acc[Q][X] = {};
  int64_t d = 0;
  for (; d + kDoubleLanes <= dimensions; d += kDoubleLanes) {
    vd qi[Q];
#pragma GCC unroll 8
    for (int i = 0; i < Q; ++i) qi[i] = load(q + i * kKdeDimensions + d);
#pragma GCC unroll 8
    for (int j = 0; j < X; ++j) {
      const vd xj = load_as_double(x + j * x_stride + d);
#pragma GCC unroll 8
      for (int i = 0; i < Q; ++i) acc[i][j] += qi[i] * xj;
    }
  }
  for (int i = 0; i < Q; ++i)
    for (int j = 0; j < X; ++j) {
      double dot = start[i] + sum(acc[i][j]);
      for (int64_t k = d; k < dimensions; ++k)
        dot += q[i * kKdeDimensions + k] * x[j * x_stride + k];
      dots[i * ld + j] += dot;
    }
}

/// Dot products of Q centred queries with all points.
template <int Q>
ASSAY_INLINE void add_queries(const float* first, int64_t stride, const KdePoints& x,
                              int64_t dimensions, const double* centre, double* dots) {
  constexpr int kX = 4;
  double q[Q * kKdeDimensions] __attribute__((aligned(64))), start[Q];
  for (int i = 0; i < Q; ++i)
    start[i] = centre_query(first + i * stride, dimensions, centre, q + i * kKdeDimensions);
  int j = 0;
  for (; j + kX <= x.count; j += kX)
    add_tile<Q, kX>(q, start, x.first + j * x.stride, x.stride, dimensions, dots + j, x.count);
  for (; j < x.count; ++j)
    add_tile<Q, 1>(q, start, x.first + j * x.stride, x.stride, dimensions, dots + j, x.count);
}

}  // namespace

void add_dot_products(const KdePoints& q, const KdePoints& x, int64_t dimensions,
                      const double* centre, double* dots) {
  // As many sums as the registers hold beside the operands: 32 registers with AVX-512, else 16.
  constexpr int kQ = kLanes == 16 ? 4 : 2;
  int i = 0;
  for (; i + kQ <= q.count; i += kQ)
    add_queries<kQ>(q.first + i * q.stride, q.stride, x, dimensions, centre, dots + i * x.count);
  for (; i < q.count; ++i)
    add_queries<1>(q.first + i * q.stride, q.stride, x, dimensions, centre, dots + i * x.count);
}

double centred_square(const float* p, int64_t dimensions, const double* centre) {
  constexpr int kSums = 8;  // independent: one chain would wait for each addition
  vd acc[kSums] = {};
  int64_t d = 0;
  for (; d + kSums * kDoubleLanes <= dimensions; d += kSums * kDoubleLanes)
#pragma GCC unroll 8
    for (int i = 0; i < kSums; ++i) {
      const int64_t at = d + i * kDoubleLanes;
      const vd difference = load_as_double(p + at) - load(centre + at);
      acc[i] += difference * difference;
    }
  double square = 0;
  for (int i = 0; i < kSums; ++i) square += sum(acc[i]);
  for (; d < dimensions; ++d) square += (p[d] - centre[d]) * (p[d] - centre[d]);
  return square;
}

}  // namespace assay::cpu::ASSAY_ISA
