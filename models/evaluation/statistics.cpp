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

/// The x at which an increasing function reaches `target`, between `low` and `high`.
template <class Function>
double solve(double target, double low, double high, const Function& increasing) {
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (increasing(middle) < target ? low : high) = middle;
  }
  return (low + high) / 2;
}

double normal_quantile(double probability) {
  return solve(probability, -40, 40, [](double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; });
}

/// Integral of sin^power from 0 to end^4, by Simpson's rule in the fourth root of the angle, where
/// the integrand is smooth for powers between 0 and 1 too.
double sine_integral(double end, double power) {
  constexpr int kSteps = 256;  // even
  const double step = end / kSteps;
  double sum = 0;
  for (int i = 1; i <= kSteps; ++i) {
    const double root = i * step, cube = root * root * root;
    const double value = std::pow(std::sin(cube * root), power) * 4 * cube;
    sum += (i == kSteps ? 1 : i % 2 == 1 ? 4 : 2) * value;
  }
  return sum * step / 3;
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

double student_quantile(double probability, double degrees) {
  ASSAY_CHECK(probability > 0 && probability < 1,
              "student_quantile: probability={:g} is not between 0 and 1", probability);
  ASSAY_CHECK(degrees >= 1, "student_quantile: degrees={:g} is less than 1", degrees);
  if (degrees > 30) {  // Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5
    const double z = normal_quantile(probability), z2 = z * z, d = degrees;
    const double g1 = z * (z2 + 1) / 4, g2 = z * ((5 * z2 + 16) * z2 + 3) / 96,
                 g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384,
                 g4 = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
    return z + (g1 + (g2 + (g3 + g4 / d) / d) / d) / d;
  }
  // t = sqrt(degrees) cot(angle), where the density of the angle is sin(angle)^(degrees - 1).
  const double right_angle = std::acos(0.0), end = std::pow(right_angle, 0.25);
  const double tail = std::min(probability, 1 - probability);
  const double root = solve(tail * 2 * sine_integral(end, degrees - 1), 0, end,
                            [&](double r) { return sine_integral(r, degrees - 1); });
  return std::copysign(std::sqrt(degrees) / std::tan(std::pow(root, 4)), probability - 0.5);
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
