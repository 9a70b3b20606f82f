#include <algorithm>
#include <cmath>

#include "kernels/batchnorm/batchnorm_backends.h"
#include "kernels/batchnorm/batchnorm_simd.h"
#include "kernels/reduce/ordered_sum.h"

namespace assay::cpu {
namespace {

/// Rows of one part: whole blocks, depending on the shape alone.
int64_t rows_per_part(const BatchNormShape& s) {
  constexpr int64_t kElements = 1 << 15;
  return std::max<int64_t>(1, kElements / s.C / kBatchNormBlock) * kBatchNormBlock;
}

/// Count, mean (C) and sum of squared deviations m2 (C) of the rows seen so far, in double.
struct Moments {
  double count;
  double* mean;
  double* m2;

  /// Adds the moments of `more` rows (Chan, Golub and LeVeque, 1983, equation 2.1), without a
  /// difference of large sums.
  void combine(int C, double more, const double* other_mean, const double* other_m2) {
    const double total = count + more;
    for (int c = 0; c < C; ++c) {
      const double delta = other_mean[c] - mean[c];
      mean[c] += delta * (more / total);
      m2[c] += other_m2[c] + delta * delta * (count * more / total);
    }
    count = total;
  }
};

/// Mean and m2 over all rows. Blocks are summed in float, in two passes, and combined in order
/// within a part; then the parts are combined in order.
class BatchMoments {
 public:
  template <class T>
  BatchMoments(Context& ctx, const BatchNormShape& s, const T* x)
      : scratch_(ctx, parts(s) * 2 * s.C * sizeof(double)),
        blocks_(ctx, parts(s) * 2 * s.C * sizeof(double)) {
    const int64_t grain = rows_per_part(s);
    std::fill_n(scratch_.as<double>(), parts(s) * 2 * s.C, 0.0);
    parallel_blocks(ctx, s.rows, grain, [&](int64_t begin, int64_t end) {
      Moments part = of_part(s, begin / grain);
      double* block = blocks_.as<double>() + begin / grain * 2 * s.C;
      for (int64_t row = begin; row < end; row += kBatchNormBlock) {
        const int64_t rows = std::min(kBatchNormBlock, end - row);
        ASSAY_ISA_CALL(block_moments, rows, s.C, x + row * s.C, block, block + s.C);
        part.combine(s.C, static_cast<double>(rows), block, block + s.C);
      }
    });
    total_ = of_part(s, 0);
    total_.count = static_cast<double>(std::min(grain, s.rows));
    for (int64_t p = 1; p < parts(s); ++p) {
      const Moments part = of_part(s, p);
      const int64_t rows = std::min(grain, s.rows - p * grain);
      total_.combine(s.C, static_cast<double>(rows), part.mean, part.m2);
    }
  }
  double mean(int c) const { return total_.mean[c]; }
  double m2(int c) const { return total_.m2[c]; }

 private:
  static int64_t parts(const BatchNormShape& s) {
    return (s.rows + rows_per_part(s) - 1) / rows_per_part(s);
  }
  Moments of_part(const BatchNormShape& s, int64_t part) const {
    double* mean = scratch_.as<double>() + part * 2 * s.C;
    return {0, mean, mean + s.C};
  }

  Scratch scratch_;  // (parts, 2, C)
  Scratch blocks_;   // (parts, 2, C), the current block of each part
  Moments total_{};
};

template <class T>
void normalise_rows(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o, const T* x,
                    const float* mean, const float* scale, const float* shift, T* y) {
  parallel_blocks(ctx, s.rows, rows_per_part(s), [&](int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(normalise, o.activation, o.slope, end - begin, s.C, x + begin * s.C, mean, scale,
                   shift, y + begin * s.C);
  });
}

template <class T>
const T* row_or_null(const T* y, int64_t offset) {
  return y == nullptr ? nullptr : y + offset;
}

}  // namespace

template <class T>
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormTraining<T>& t) {
  const BatchMoments moments(ctx, s, t.x);
  const double rows = static_cast<double>(s.rows);
  const Scratch scales(ctx, s.C * sizeof(float));
  float* scale = scales.as<float>();
  for (int c = 0; c < s.C; ++c) {
    const double r = 1 / std::sqrt(moments.m2(c) / rows + o.eps);
    t.mean[c] = static_cast<float>(moments.mean(c));
    t.rstd[c] = static_cast<float>(r);
    scale[c] = static_cast<float>(t.gamma[c] * r);
    t.running_mean[c] =
        static_cast<float>((1 - o.momentum) * t.running_mean[c] + o.momentum * moments.mean(c));
    t.running_var[c] = static_cast<float>((1 - o.momentum) * t.running_var[c] +
                                          o.momentum * moments.m2(c) / (rows - 1));
  }
  normalise_rows(ctx, s, o, t.x, t.mean, scale, t.beta, t.y);
}

template <class T>
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const BatchNormInference<T>& t) {
  const Scratch scales(ctx, s.C * sizeof(float));
  float* scale = scales.as<float>();
  for (int c = 0; c < s.C; ++c)
    scale[c] = static_cast<float>(t.gamma[c] / std::sqrt(t.running_var[c] + o.eps));
  normalise_rows(ctx, s, o, t.x, t.running_mean, scale, t.beta, t.y);
}

template <class T>
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormBackward<T>& t) {
  const int64_t grain = rows_per_part(s);
  const OrderedVectorSum sums(
      ctx, s.rows, grain, 2 * s.C, [&](int64_t begin, int64_t end, double* part) {
        const int64_t at = begin * s.C;
        ASSAY_ISA_CALL(add_gradient_sums, o.activation, o.slope, end - begin, s.C, t.x + at,
                       row_or_null(t.y, at), t.dy + at, t.mean, part);
      });
  const double rows = static_cast<double>(s.rows);
  const Scratch coefficients(ctx, 3 * s.C * sizeof(float));
  float* scale = coefficients.as<float>();
  float* mean_dz = scale + s.C;
  float* slope_dz = mean_dz + s.C;
  for (int c = 0; c < s.C; ++c) {
    const double r = t.rstd[c], sum_dz = sums[c], sum_dz_x = sums[s.C + c];
    t.dbeta[c] = static_cast<float>(sum_dz);
    t.dgamma[c] = static_cast<float>(sum_dz_x * r);
    scale[c] = static_cast<float>(t.gamma[c] * r);
    mean_dz[c] = static_cast<float>(sum_dz / rows);
    slope_dz[c] = static_cast<float>(sum_dz_x * r * r / rows);
  }
  parallel_blocks(ctx, s.rows, grain, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * s.C;
    ASSAY_ISA_CALL(input_gradient, o.activation, o.slope, end - begin, s.C, t.x + at,
                   row_or_null(t.y, at), t.dy + at, t.mean, scale, mean_dz, slope_dz, t.dx + at);
  });
}

ASSAY_INSTANTIATE_BATCHNORM(float);
ASSAY_INSTANTIATE_BATCHNORM(bf16);

}  // namespace assay::cpu
