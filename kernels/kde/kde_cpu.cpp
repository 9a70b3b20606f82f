#include <algorithm>

#include "kernels/kde/kde_backends.h"
#include "kernels/kde/kde_formula.h"
#include "kernels/kde/kde_simd.h"
#include "kernels/reduce/ordered_sum.h"
#include "kernels/reduce/reduce_simd.h"

namespace assay::cpu {
namespace {

// A part: kQueries x kPoints distances, summed over kKdeDimensions at a time, so that the rows in
// use (96 x 2 KiB) stay in the second-level cache.
constexpr int kQueries = 32, kPoints = 64;

/// |q - c|^2 of all queries and |x - c|^2 of all points, c the mean of the points.
class CentredPoints {
 public:
  CentredPoints(Context& ctx, const KdeShape& s, const float* train, const float* queries)
      : shape_(s),
        train_(train),
        queries_(queries),
        centre_(ctx, s.D * sizeof(double)),
        squares_(ctx, (int64_t{s.n} + s.m) * sizeof(double)) {
    double* centre = centre_.as<double>();
    const OrderedVectorSum sums(ctx, s.n, 64, s.D, [&](int64_t begin, int64_t end, double* part) {
      ASSAY_ISA_CALL(add_column_sums, end - begin, s.D, train + begin * s.D, part);
    });
    for (int d = 0; d < s.D; ++d) centre[d] = sums[d] / s.n;
    parallel_blocks(ctx, int64_t{s.n} + s.m, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        squares_.as<double>()[i] = ASSAY_ISA_CALL(
            centred_square, i < s.n ? train + i * s.D : queries + (i - s.n) * s.D, s.D, centre);
    });
  }

  int query_blocks() const { return (shape_.m + kQueries - 1) / kQueries; }
  int point_blocks() const { return (shape_.n + kPoints - 1) / kPoints; }

  /// Calls f(query, first point, points, distances) for every query of a part; points are
  /// consecutive and f's distances (points) are clipped at 0.
  template <class F>
  void for_each_query(int64_t part, const F& f) const {
    const int j0 = static_cast<int>(part / point_blocks()) * kQueries;
    const int i0 = static_cast<int>(part % point_blocks()) * kPoints;
    const int queries = std::min(kQueries, shape_.m - j0),
              points = std::min(kPoints, shape_.n - i0);
    double dots[kQueries * kPoints] = {};  // (queries, points)
    for (int64_t d = 0; d < shape_.D; d += kKdeDimensions) {
      const KdePoints q{queries_ + int64_t{j0} * shape_.D + d, shape_.D, queries};
      const KdePoints x{train_ + int64_t{i0} * shape_.D + d, shape_.D, points};
      ASSAY_ISA_CALL(add_dot_products, q, x, std::min<int64_t>(kKdeDimensions, shape_.D - d),
                     centre_.as<double>() + d, dots);
    }
    const double* xx = squares_.as<double>() + i0;
    const double* qq = squares_.as<double>() + shape_.n + j0;
    for (int j = 0; j < queries; ++j) {
      double* row = dots + j * points;
      for (int i = 0; i < points; ++i) row[i] = std::max(0.0, qq[j] + xx[i] - 2 * row[i]);
      f(j0 + j, i0, points, row);
    }
  }

 private:
  KdeShape shape_;
  const float* train_;
  const float* queries_;
  Scratch centre_;   // (D)
  Scratch squares_;  // (n + m)
};

}  // namespace

void kde_log_density(Context& ctx, const KdeShape& s, double h, const float* train,
                     const float* queries, double* log_density) {
  const CentredPoints points(ctx, s, train, queries);
  const int blocks = points.point_blocks();
  const Scratch scratch(ctx, int64_t{s.m} * blocks * sizeof(OnlineLogSumExp));
  auto* sums = scratch.as<OnlineLogSumExp>();  // (m, blocks): one sum per query and part
  parallel_for(ctx, int64_t{points.query_blocks()} * blocks, [&](int64_t part) {
    points.for_each_query(part, [&](int j, int first, int count, const double* distances) {
      OnlineLogSumExp sum;
      for (int i = 0; i < count; ++i) sum.add(-distances[i] / (2 * h * h));
      sums[int64_t{j} * blocks + first / kPoints] = sum;
    });
  });
  for (int64_t j = 0; j < s.m; ++j) {
    OnlineLogSumExp total;
    for (int b = 0; b < blocks; ++b) total.merge(sums[j * blocks + b]);
    log_density[j] = kde_log_normaliser(s.n, s.D, h) + total.value();
  }
}

void squared_distances(Context& ctx, const KdeShape& s, const float* train, const float* queries,
                       double* distances) {
  const CentredPoints points(ctx, s, train, queries);
  parallel_for(ctx, int64_t{points.query_blocks()} * points.point_blocks(), [&](int64_t part) {
    points.for_each_query(part, [&](int j, int first, int count, const double* row) {
      std::copy(row, row + count, distances + int64_t{j} * s.n + first);
    });
  });
}

}  // namespace assay::cpu
