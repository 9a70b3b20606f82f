// Means, deviations, percentiles and quantiles, defined once for calibration, intervals and seeds.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace assay {

struct MeanDeviation {
  double mean = 0;
  double deviation = 0;  ///< of a sample: divisor n - 1
  int64_t count = 0;
};
/// Needs at least two finite values (Error).
MeanDeviation mean_deviation(std::span<const double> values);

/// The `percent`-th percentile, linear between the two nearest order statistics (numpy's default).
/// Needs at least one finite value and 0 <= percent <= 100 (Error).
double percentile(std::span<const double> values, double percent);
/// As percentile(), for values in ascending order.
double percentile_of_sorted(std::span<const double> sorted, double percent);

/// The value below which a variable of Student's t distribution lies with `probability`, in (0, 1).
/// `degrees` of freedom >= 1 (Error), not necessarily whole; infinity is the normal distribution.
/// Within 1e-6 of the true value, relatively.
double student_quantile(double probability, double degrees);

/// One metric over runs that differ in their seed alone.
struct SeedSummary {
  double mean = 0;
  std::optional<double> deviation;  ///< sample deviation; empty for one seed
  int64_t seeds = 0;

  bool operator==(const SeedSummary&) const = default;
};
/// Needs at least one finite value (Error).
SeedSummary summarize_seeds(std::span<const double> values);

}  // namespace assay
