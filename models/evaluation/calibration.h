// From the raw components of a score (reconstruction error r, negative log density q) to one score
// s and its thresholds, by the distribution of the components on held-out good images. Neither test
// nor training images are used: a density is biased towards the points it was fitted to.
#pragma once

#include <span>
#include <vector>

#include "models/evaluation/statistics.h"

namespace assay {

/// An image is predicted defective if s > kThresholdDeviations.
inline constexpr double kThresholdDeviations = 3;
inline constexpr double kThresholdPercentile = 99;

struct Calibration {
  std::vector<MeanDeviation> components;  ///< of each component on the held-out good images
  double percentile99 = 0;                ///< of s on the same images: an alternative threshold

  /// (value - mean) / deviation of that component. The divisor is at least 1e-6 |mean| + 1e-12:
  /// scores are computed in fp32, so a smaller spread is rounding and must not decide the
  /// prediction.
  double z(size_t component, double value) const;
  /// s = max over the components of z, so that s > k exactly if some component exceeds its mean by
  /// more than k deviations.
  double score(std::span<const double> values) const;
  /// Whether the component did not vary on the calibration images (the divisor above has its
  /// minimum): the network has collapsed, or all images are equal.
  bool is_constant(size_t component) const;
};

/// `components[p][i]`: component p of held-out good image i. Error with fewer than two images,
/// components of unequal lengths, or values that are not finite. Few images make a rough deviation:
/// with 8 its own relative standard error is 1 / sqrt(2 * 7) = 27 %.
Calibration calibrate(std::span<const std::vector<double>> components);

}  // namespace assay
