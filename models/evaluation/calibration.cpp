#include "models/evaluation/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

double smallest_divisor(const MeanDeviation& component) {
  return 1e-6 * std::abs(component.mean) + 1e-12;
}

}  // namespace

double Calibration::z(size_t component, double value) const {
  ASSAY_CHECK(component < components.size(), "calibration: component {} of {}", component,
              components.size());
  const MeanDeviation& good = components[component];
  return (value - good.mean) / std::max(good.deviation, smallest_divisor(good));
}

bool Calibration::is_constant(size_t component) const {
  ASSAY_CHECK(component < components.size(), "calibration: component {} of {}", component,
              components.size());
  return components[component].deviation <= smallest_divisor(components[component]);
}

double Calibration::score(std::span<const double> values) const {
  ASSAY_CHECK(!values.empty() && values.size() == components.size(),
              "calibration: {} values for {} components", values.size(), components.size());
  double highest = -std::numeric_limits<double>::infinity();
  for (size_t component = 0; component < values.size(); ++component) {
    ASSAY_CHECK(std::isfinite(values[component]), "calibration: component {} of the score is {:g}",
                component, values[component]);
    highest = std::max(highest, z(component, values[component]));
  }
  return highest;
}

Calibration calibrate(std::span<const std::vector<double>> components) {
  ASSAY_CHECK(!components.empty(), "calibrate: no component of a score");
  Calibration calibration;
  for (const std::vector<double>& component : components) {
    ASSAY_CHECK(component.size() == components[0].size(),
                "calibrate: components of {} and {} images", components[0].size(),
                component.size());
    calibration.components.push_back(mean_deviation(component));
  }
  std::vector<double> scores, values(components.size());
  for (size_t image = 0; image < components[0].size(); ++image) {
    for (size_t component = 0; component < components.size(); ++component)
      values[component] = components[component][image];
    scores.push_back(calibration.score(values));
  }
  calibration.percentile99 = percentile(scores, kThresholdPercentile);
  return calibration;
}

}  // namespace assay
