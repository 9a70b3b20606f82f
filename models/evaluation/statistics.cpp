#include "models/evaluation/statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

void check_finite(const char* who, std::span<const double> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    ASSAY_CHECK(std::isfinite(values[i]), "{}: value {} is {:g}", who, i, values[i]);
  }
}

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

MeanDeviation mean_deviation(std::span<const double> values) {
  ASSAY_CHECK(values.size() >= 2, "mean_deviation: needs at least 2 values but got {}",
              values.size());
  check_finite("mean_deviation", values);
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.mean = mean,
          .deviation = std::sqrt(squares / static_cast<double>(values.size() - 1)),
          .count = static_cast<int64_t>(values.size())};
}

double percentile_of_sorted(std::span<const double> sorted, double percent) {
  ASSAY_CHECK(!sorted.empty(), "percentile: needs at least one value");
  ASSAY_CHECK(percent >= 0 && percent <= 100, "percentile: {:g} is not in [0, 100]", percent);
  const double position = percent / 100 * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

double percentile(std::span<const double> values, double percent) {
  check_finite("percentile", values);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return percentile_of_sorted(sorted, percent);
}

SeedSummary summarize_seeds(std::span<const double> values) {
  ASSAY_CHECK(!values.empty(), "summarize_seeds: needs at least one value");
  check_finite("summarize_seeds", values);
  SeedSummary summary;
  summary.mean = mean_of(values);
  summary.seeds = static_cast<int64_t>(values.size());
  if (values.size() >= 2) summary.deviation = mean_deviation(values).deviation;
  return summary;
}

}  // namespace assay
