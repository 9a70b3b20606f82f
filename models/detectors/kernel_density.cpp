#include "models/detectors/kernel_density.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numbers>

#include "kernels/kde/kde.h"
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

std::vector<double> pairwise_squared_distances(const Tensor& z) {
  const KdeShape s = shape_of(z, z);
  return computed_on_device(int64_t{s.m} * s.n, [&](Context& ctx, double* distances) {
    squared_distances(ctx, s, z.data<float>(), z.data<float>(), distances);
  });
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

double median_pairwise_distance(const std::vector<double>& squared, int n) {
  std::vector<double> distances;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < i; ++j) distances.push_back(std::sqrt(std::max(0.0, squared[i * n + j])));
  return median(std::move(distances));
}

double median_nearest_neighbour_distance(const std::vector<double>& squared, int n) {
  std::vector<double> nearest(n, std::numeric_limits<double>::infinity());
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j)
      if (i != j) nearest[i] = std::min(nearest[i], std::sqrt(std::max(0.0, squared[i * n + j])));
  return median(std::move(nearest));
}

double most_likely_bandwidth(const std::vector<double>& squared, int n, int64_t D) {
  constexpr int kValues = 60;
  constexpr double kMin = 1e-3, kMax = 10;  // times the median nearest-neighbour distance
  double unit = median_nearest_neighbour_distance(squared, n);
  if (unit == 0) unit = 1;  // all latents are equal, so any h will do
  double best = 0, best_likelihood = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < kValues; ++i) {
    const double h = unit * kMin * std::pow(kMax / kMin, i / (kValues - 1.0));
    const double likelihood = leave_one_out_log_likelihood(squared, n, D, h);
    if (likelihood > best_likelihood) {
      best_likelihood = likelihood;
      best = h;
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
  const double scale = -0.5 / (h * h);
  double total = 0;
  for (int i = 0; i < n; ++i) {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int j = 0; j < n; ++j)
      if (j != i) largest = std::max(largest, scale * squared[i * n + j]);
    for (int j = 0; j < n; ++j)
      if (j != i) sum += std::exp(scale * squared[i * n + j] - largest);
    total += largest + std::log(sum);
  }
  return total / n - std::log(n - 1.0) -
         0.5 * static_cast<double>(D) * std::log(2 * std::numbers::pi * h * h);
}

KdeDetector::KdeDetector(Tensor latents, double bandwidth)
    : latents_(std::move(latents)), h_(bandwidth) {
  ASSAY_CHECK(latents_.rank() == 2 && latents_.dim(0) >= 1,
              "kde: latents are {}, not (n, D) with n at least 1", to_string(latents_.shape()));
  ASSAY_CHECK(std::isfinite(h_) && h_ > 0, "kde: the bandwidth is {:g}; are all latents the same?",
              h_);
}

KdeDetector KdeDetector::fit(Tensor latents, const Bandwidth& bandwidth) {
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
    const std::vector<double> squared = pairwise_squared_distances(latents);
    h = bandwidth.rule == BandwidthRule::median
            ? median_pairwise_distance(squared, n) / std::numbers::sqrt2
            : most_likely_bandwidth(squared, n, latents.dim(1));
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
