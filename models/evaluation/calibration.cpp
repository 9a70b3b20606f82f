#include "models/evaluation/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

double least_divisor(const MeanDeviation& part) {
  return 1e-6 * std::abs(part.mean) + 1e-12;
}

}  // namespace

double Calibration::z(size_t part, double value) const {
  ASSAY_CHECK(part < parts.size(), "calibration: part {} of {}", part, parts.size());
  const MeanDeviation& good = parts[part];
  return (value - good.mean) / std::max(good.deviation, least_divisor(good));
}

bool Calibration::is_constant(size_t part) const {
  ASSAY_CHECK(part < parts.size(), "calibration: part {} of {}", part, parts.size());
  return parts[part].deviation <= least_divisor(parts[part]);
}

double Calibration::score(std::span<const double> values) const {
  ASSAY_CHECK(!values.empty() && values.size() == parts.size(),
              "calibration: {} values for {} parts", values.size(), parts.size());
  double highest = -std::numeric_limits<double>::infinity();
  for (size_t part = 0; part < values.size(); ++part) {
    ASSAY_CHECK(std::isfinite(values[part]), "calibration: part {} of the score is {:g}", part,
                values[part]);
    highest = std::max(highest, z(part, values[part]));
  }
  return highest;
}

Calibration calibrate(std::span<const std::vector<double>> parts) {
  ASSAY_CHECK(!parts.empty(), "calibrate: no part of a score");
  Calibration calibration;
  for (const std::vector<double>& part : parts) {
    ASSAY_CHECK(part.size() == parts[0].size(), "calibrate: parts of {} and {} images",
                parts[0].size(), part.size());
    calibration.parts.push_back(mean_deviation(part));
  }
  std::vector<double> scores, values(parts.size());
  for (size_t image = 0; image < parts[0].size(); ++image) {
    for (size_t part = 0; part < parts.size(); ++part) values[part] = parts[part][image];
    scores.push_back(calibration.score(values));
  }
  calibration.percentile99 = percentile(scores, kThresholdPercentile);
  return calibration;
}

}  // namespace assay
