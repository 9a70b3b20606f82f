// From the raw components of a score (reconstruction error r, negative log density q) to one score
// s and its thresholds, by what the components do on held-out good images. Never on test images,
// and never on training images either: a density scored on the points it was fitted to knows them
// by heart.
#pragma once

#include <span>
#include <vector>

#include "models/evaluation/statistics.h"

namespace assay {

/// s > k deviations above the mean of good images is called a defect.
inline constexpr double kThresholdDeviations = 3;
inline constexpr double kThresholdPercentile = 99;

struct Calibration {
  std::vector<MeanDeviation> components;  ///< of each component on the held-out good images
  double percentile99 = 0;                ///< of s on the same images, the alternative threshold

  /// (value - mean) / deviation of that component. The divisor is at least 1e-6 |mean| + 1e-12:
  /// scores are computed in fp32, so a smaller spread is rounding and must not be magnified into a
  /// verdict.
  double z(size_t component, double value) const;
  /// s = max over the components of z. "s > k" is the same as "any component exceeds mean + k
  /// deviations".
  double score(std::span<const double> values) const;
  /// True where the component did not vary on the calibration images (the divisor above is its
  /// least value): the network has collapsed, or all images are one.
  bool is_constant(size_t component) const;
};

/// `components[p][i]`: component p of held-out good image i. Error with fewer than two images,
/// components of unequal lengths, or values that are not finite. Few images make a rough deviation:
/// with 8 its own relative standard error is 1 / sqrt(2 * 7) = 27 %.
Calibration calibrate(std::span<const std::vector<double>> components);

}  // namespace assay
