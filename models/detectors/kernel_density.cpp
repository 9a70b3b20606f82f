#include "models/detectors/kernel_density.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <numeric>
#include <span>

#include "kernels/kde/kde.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/profile_range.h"
#include "kernels/runtime/transfer.h"

namespace assay {
namespace {

KdeShape shape_of(const Tensor& train, const Tensor& queries) {
  ASSAY_CHECK(train.rank() == 2 && queries.rank() == 2 && train.dim(1) == queries.dim(1),
              "kde: latents are {} but queries {}", to_string(train.shape()),
              to_string(queries.shape()));
  return {static_cast<int>(train.dim(0)), static_cast<int>(queries.dim(0)),
          static_cast<int>(train.dim(1))};
}

/// Returns the n numbers that compute(ctx, numbers) writes to memory of the device.
template <class F>
std::vector<double> computed_on_device(int64_t n, const F& compute) {
  Context& ctx = current_context();
  const Scratch block(ctx, n * sizeof(double));
  compute(ctx, block.as<double>());
  std::vector<double> numbers(n);
  copy_bytes(ctx, numbers.data(), Device::cpu(), block.as<double>(), ctx.device,
             n * sizeof(double));
  return numbers;
}

/// The bandwidth rules use at most this many latents. A likelihood of 2,000 terms orders
/// bandwidths a factor of 1.17 apart as reliably as one of all terms, and time grows with n, not
/// n^2.
constexpr int kMaxSearched = 2000;

/// 0 to n-1, or kMaxSearched of these numbers, evenly spaced.
std::vector<int> searched_rows(int n) {
  const int count = std::min(n, kMaxSearched);
  std::vector<int> rows;
  for (int64_t k = 0; k < count; ++k) rows.push_back(static_cast<int>(k * n / count));
  return rows;
}

Tensor rows_of(const Tensor& z, std::span<const int> rows) {
  std::vector<float> values;
  for (const int row : rows) {
    const std::vector<float> more = z.rows(row, 1).to_floats();
    values.insert(values.end(), more.begin(), more.end());
  }
  return Tensor::from({static_cast<int64_t>(rows.size()), z.dim(1)}, values);
}

/// Calls f(k, distances) for each of `rows`, where `distances` (n) are those of latent rows[k] to
/// all latents, squared. At most 32 MiB of them are in memory; rows of a block run on threads.
/// `after_block` is told the share of the rows that are done and may throw.
template <class F>
void for_each_row_of_distances(const Tensor& z, std::span<const int> rows,
                               const std::function<void(double)>& after_block, const F& f) {
  constexpr int64_t kBlockDistances = int64_t{1} << 22;
  const int64_t n = z.dim(0), m = static_cast<int64_t>(rows.size());
  const int64_t block = std::max<int64_t>(1, kBlockDistances / n);
  for (int64_t begin = 0; begin < m; begin += block) {
    const int64_t count = std::min(block, m - begin);
    const Tensor queries = rows_of(z, rows.subspan(begin, count));
    const KdeShape s = shape_of(z, queries);
    const std::vector<double> distances =
        computed_on_device(count * n, [&](Context& ctx, double* out) {
          squared_distances(ctx, s, z.data<float>(), queries.data<float>(), out);
        });
    parallel_for(current_context(), count,
                 [&](int64_t r) { f(begin + r, distances.data() + r * n); });
    after_block(static_cast<double>(begin + count) / static_cast<double>(m));
  }
}

/// log sum of exp(scale d) over all distances but the one at `self`.
double log_sum_of_others(const double* d, int n, int self, double scale) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int j = 0; j < n; ++j)
    if (j != self) largest = std::max(largest, scale * d[j]);
  for (int j = 0; j < n; ++j)
    if (j != self) sum += std::exp(scale * d[j] - largest);
  return largest + std::log(sum);
}

/// The mean log likelihood of latents, given all others, from the sum of log_sum_of_others().
double mean_log_likelihood(double total, size_t count, int n, int64_t D, double h) {
  return total / static_cast<double>(count) - std::log(n - 1.0) -
         0.5 * static_cast<double>(D) * std::log(2 * std::numbers::pi * h * h);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

/// Mean over the coordinates of the sample deviation.
double mean_coordinate_deviation(const Tensor& latents) {
  const int64_t n = latents.dim(0), D = latents.dim(1);
  const std::vector<float> z = latents.to_floats();  // (n,D)
  double sum = 0;
  for (int64_t d = 0; d < D; ++d) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) mean += z[i * D + d];
    mean /= static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) squares += (z[i * D + d] - mean) * (z[i * D + d] - mean);
    sum += std::sqrt(squares / static_cast<double>(n - 1));
  }
  return sum / static_cast<double>(D);
}

double median_pairwise_distance(const Tensor& z,
                                const std::function<void(double)>& between_blocks) {
  const int n = static_cast<int>(z.dim(0));
  std::vector<int> rows = searched_rows(n);
  const auto m = static_cast<int64_t>(rows.size());
  const Tensor some = m < n ? rows_of(z, rows) : z;
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<double> distances(m * (m - 1) / 2);
  for_each_row_of_distances(some, rows, between_blocks, [&](int64_t i, const double* squared) {
    for (int64_t j = 0; j < i; ++j)
      distances[i * (i - 1) / 2 + j] = std::sqrt(std::max(0.0, squared[j]));
  });
  return median(std::move(distances));
}

double median_nearest_neighbour_distance(const Tensor& z, std::span<const int> rows,
                                         const std::function<void(double)>& between_blocks) {
  const int n = static_cast<int>(z.dim(0));
  std::vector<double> nearest(rows.size(), std::numeric_limits<double>::infinity());
  for_each_row_of_distances(z, rows, between_blocks, [&](int64_t k, const double* squared) {
    for (int j = 0; j < n; ++j)
      if (j != rows[k]) nearest[k] = std::min(nearest[k], std::sqrt(std::max(0.0, squared[j])));
  });
  return median(std::move(nearest));
}

double most_likely_bandwidth(const Tensor& z, const std::function<void(double)>& between_blocks) {
  constexpr int kValues = 60;
  constexpr double kMin = 1e-3, kMax = 10;  // times the median nearest-neighbour distance
  const int n = static_cast<int>(z.dim(0));
  const std::vector<int> rows = searched_rows(n);
  double unit =
      median_nearest_neighbour_distance(z, rows, [&](double done) { between_blocks(done / 2); });
  if (unit == 0) unit = 1;  // all latents are equal, so any h will do
  std::vector<double> bandwidths;
  for (int i = 0; i < kValues; ++i)
    bandwidths.push_back(unit * kMin * std::pow(kMax / kMin, i / (kValues - 1.0)));
  std::vector<double> terms(rows.size() * kValues);
  const auto in_second_half = [&](double done) { between_blocks((1 + done) / 2); };
  for_each_row_of_distances(z, rows, in_second_half, [&](int64_t k, const double* squared) {
    for (int i = 0; i < kValues; ++i)
      terms[k * kValues + i] =
          log_sum_of_others(squared, n, rows[k], -0.5 / (bandwidths[i] * bandwidths[i]));
  });
  double best = 0, best_likelihood = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < kValues; ++i) {
    double total = 0;
    for (size_t k = 0; k < rows.size(); ++k) total += terms[k * kValues + i];
    const double likelihood = mean_log_likelihood(total, rows.size(), n, z.dim(1), bandwidths[i]);
    if (likelihood > best_likelihood) {
      best_likelihood = likelihood;
      best = bandwidths[i];
    }
  }
  return best;
}

}  // namespace

Bandwidth parse_bandwidth(const std::string& text) {
  if (text == "scott") return {BandwidthRule::scott};
  if (text == "silverman") return {BandwidthRule::silverman};
  if (text == "median") return {BandwidthRule::median};
  if (text == "loo") return {BandwidthRule::loo};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  // Outside this range the square of the bandwidth, or of a distance over it, overflows a double.
  constexpr double kMin = 1e-100, kMax = 1e100;
  ASSAY_CHECK_AS(UsageError, !text.empty() && *end == '\0' && value >= kMin && value <= kMax,
                 "--kde-bandwidth: '{}' is neither a number from {:g} to {:g} nor scott, "
                 "silverman, median or loo",
                 text, kMin, kMax);
  return {BandwidthRule::fixed, value};
}

double leave_one_out_log_likelihood(const std::vector<double>& squared, int n, int64_t D,
                                    double h) {
  double total = 0;
  for (int i = 0; i < n; ++i)
    total += log_sum_of_others(squared.data() + int64_t{i} * n, n, i, -0.5 / (h * h));
  return mean_log_likelihood(total, static_cast<size_t>(n), n, D, h);
}

KdeDetector::KdeDetector(Tensor latents, double bandwidth)
    : latents_(std::move(latents)), h_(bandwidth) {
  ASSAY_CHECK(latents_.rank() == 2 && latents_.dim(0) >= 1,
              "kde: latents are {}, not (n, D) with n at least 1", to_string(latents_.shape()));
  ASSAY_CHECK(std::isfinite(h_) && h_ > 0, "kde: the bandwidth is {:g}; are all latents the same?",
              h_);
}

KdeDetector KdeDetector::fit(Tensor latents, const Bandwidth& bandwidth,
                             const std::function<void(double)>& between_blocks) {
  if (bandwidth.rule == BandwidthRule::fixed) return {std::move(latents), bandwidth.value};
  ASSAY_CHECK(latents.rank() == 2 && latents.dim(0) >= 2,
              "kde: latents are {}; a bandwidth rule needs two at least",
              to_string(latents.shape()));
  const int n = static_cast<int>(latents.dim(0));
  const double D = static_cast<double>(latents.dim(1));
  double h = 0;
  if (bandwidth.rule == BandwidthRule::scott) {
    h = std::pow(n, -1 / (D + 4)) * mean_coordinate_deviation(latents);
  } else if (bandwidth.rule == BandwidthRule::silverman) {
    h = std::pow(n * (D + 2) / 4, -1 / (D + 4)) * mean_coordinate_deviation(latents);
  } else {
    h = bandwidth.rule == BandwidthRule::median
            ? median_pairwise_distance(latents, between_blocks) / std::numbers::sqrt2
            : most_likely_bandwidth(latents, between_blocks);
  }
  return {std::move(latents), h};
}

std::vector<double> KdeDetector::log_density(const Tensor& z) const {
  const ProfileRange range("density");
  const KdeShape s = shape_of(latents_, z);
  return computed_on_device(s.m, [&](Context& ctx, double* density) {
    kde_log_density(ctx, s, h_, latents_.data<float>(), z.data<float>(), density);
  });
}

}  // namespace assay
