// Local density on the CPU. A task is a cell, or some of its queries if there are many.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/local_density/local_density_backends.h"
#include "kernels/local_density/local_density_simd.h"
#include "kernels/runtime/error.h"

namespace assay::cpu {
namespace {

constexpr int kMaxSide = 2 * LocalDensityShape::kMaxRadius + 1;
constexpr int kMaxWindow = kMaxSide * kMaxSide;

}  // namespace

void local_metric(Context& ctx, const LocalDensityShape& s, double ridge, const float* features,
                  float* centre, float* metric) {
  const int64_t C = s.C, cells = s.cells();
  // The second moments of a window are the sums of those of its cells: one product per cell, not
  // one per window.
  const Scratch moment_block(ctx, sizeof(float) * cells * C * C),
      sum_block(ctx, sizeof(float) * cells * C);
  float* const moments = moment_block.as<float>();
  float* const sums = sum_block.as<float>();
  parallel_for(ctx, cells, [&](int64_t cell) {
    ASSAY_ISA_CALL(local_moments, s.C, s.n, features + cell * C * s.n, moments + cell * C * C,
                   sums + cell * C);
  });
  const double count = static_cast<double>(s.window()) * s.n;
  parallel_for(ctx, cells, [&](int64_t cell) {
    std::vector<double> a(C * C), mean(C);
    for (int k = 0; k < s.window(); ++k) {
      const int64_t at = s.neighbour(static_cast<int>(cell), k);
      for (int64_t c = 0; c < C; ++c) mean[c] += sums[at * C + c];
      for (int64_t c = 0; c < C * C; ++c) a[c] += moments[at * C * C + c];
    }
    for (double& m : mean) m /= count;
    for (int64_t c = 0; c < C; ++c) {
      for (int64_t d = 0; d < C; ++d) a[c * C + d] = a[c * C + d] / count - mean[c] * mean[d];
      a[c * C + c] += ridge;
      centre[cell * C + c] = static_cast<float>(mean[c]);
    }
    const bool inverted = ASSAY_ISA_CALL(invert_positive_definite, C, a.data());
    ASSAY_CHECK(
        inverted,
        "local_metric: the covariance of cell {} is not finite, or the ridge {} is lost in its "
        "rounding",
        cell, ridge);
    for (int64_t c = 0; c < C; ++c)
      for (int64_t d = 0; d < C; ++d)  // symmetric to the bit
        metric[(cell * C + c) * C + d] = static_cast<float>(0.5 * (a[c * C + d] + a[d * C + c]));
  });
}

void local_bank_norms(Context& ctx, const LocalDensityShape& s, const float* features,
                      const float* metric, const float* centre, float* norms) {
  const int64_t C = s.C;
  parallel_for(ctx, s.cells(), [&](int64_t cell) {
    const Scratch work(ctx, sizeof(float) * ASSAY_ISA_CALL(local_density_work, s.C));
    for (int k = 0; k < s.window(); ++k)
      ASSAY_ISA_CALL(local_norms, s.C, s.n,
                     features + s.neighbour(static_cast<int>(cell), k) * C * s.n,
                     metric + cell * C * C, centre + cell * C, work.as<float>(),
                     norms + (cell * s.window() + k) * s.n);
  });
}

void local_density(Context& ctx, const LocalDensityShape& s, const LocalKernel& kernel,
                   const LocalBank<float>& bank, const float* queries, const int* query_image,
                   float* scores) {
  const bool nearest = kernel.kind == LocalKernel::Kind::nearest;
  const double scale = nearest ? 0 : 1 / (2 * kernel.s * kernel.s);
  std::vector<int> images(static_cast<size_t>(s.n));
  if (bank.image != nullptr)
    std::copy_n(bank.image, s.n, images.begin());
  else
    std::iota(images.begin(), images.end(), 0);
  // log of the number of features that count, for the mean.
  std::vector<double> log_count(nearest ? 0 : static_cast<size_t>(s.m));
  for (size_t j = 0; j < log_count.size(); ++j) {
    const auto own =
        query_image == nullptr ? 0 : std::count(images.begin(), images.end(), query_image[j]);
    log_count[j] = std::log(static_cast<double>(s.window()) * static_cast<double>(s.n - own));
  }
  const int64_t C = s.C, blocks = (s.m + kLocalQueries - 1) / kLocalQueries;
  parallel_for(ctx, s.cells() * blocks, [&](int64_t part) {
    const int64_t cell = part / blocks, first = part % blocks * kLocalQueries;
    const int count = static_cast<int>(std::min<int64_t>(kLocalQueries, s.m - first));
    const Scratch work(ctx, sizeof(float) * ASSAY_ISA_CALL(local_density_work, s.C));
    const float* features[kMaxWindow];
    for (int k = 0; k < s.window(); ++k)
      features[k] = bank.features + s.neighbour(static_cast<int>(cell), k) * C * s.n;
    float* const out = scores + cell * s.m + first;
    double log_sum[kLocalQueries];
    const LocalDensityJob job{.C = s.C,
                              .n = s.n,
                              .m = s.m,
                              .window = s.window(),
                              .first = static_cast<int>(first),
                              .queries = count,
                              .query = queries + cell * C * s.m,
                              .query_image = query_image != nullptr ? query_image + first : nullptr,
                              .metric = bank.metric + cell * C * C,
                              .centre = bank.centre + cell * C,
                              .features = features,
                              .norms = bank.norms + cell * s.window() * s.n,
                              .image = images.data(),
                              .scale = static_cast<float>(scale),
                              .work = work.as<float>(),
                              .nearest = out,
                              .log_sum = log_sum};
    ASSAY_ISA_CALL(local_density_job, job);
    for (int j = 0; j < count; ++j) {
      if (out[j] >= kFarDistance)
        out[j] = std::numeric_limits<float>::infinity();
      else if (!nearest)
        out[j] = static_cast<float>((log_count[first + j] - log_sum[j]) / scale);
    }
  });
}

}  // namespace assay::cpu
