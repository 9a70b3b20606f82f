// How sure a metric of test images is: 95 % intervals of image AUROC and F1, of their means over
// seeds, and of the difference of two models.
//
// A metric is a proportion with an influence for each image (how far that image moves it): for
// AUROC the placement values of DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); for F1 the
// derivative by the hits and false alarms. Their sum of squares is the variance over images, and
// value (1 - value) / variance the effective number of images n. The interval is Wilson's for that
// n, so it never leaves [0, 1] and keeps its width at 0 and 1, where DeLong's and the percentile
// bootstrap's are empty. n is at least the size of the smaller class; for the limit on the side of
// 1/2 it is at most the number of images, because the variance of a value near 1 rests on the few
// images that are ranked wrongly. Coverage: bench/results/intervals.md.
//
// Over seeds the metric is the mean and the variance has two parts: that over images of the mean
// (DeLong's of the averaged placements, so images that all seeds rank wrongly count in full) and
// the variance of the seeds' values divided by their number. The quantile is then Student's with
// the degrees of freedom of Satterthwaite, Biometrics 2 (1946).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace assay {

inline constexpr double kConfidence = 0.95;

struct Interval {
  double low, high;

  bool operator==(const Interval&) const = default;
};

enum class ScoreMetric : uint8_t { auroc, f1 };

/// The scores that one trained model gives test images. All lists have the same images.
struct ScoredImages {
  std::span<const double> scores;        ///< finite (Error); higher = more anomalous
  std::span<const uint8_t> defective;    ///< non-zero = defective
  double threshold;                      ///< defective is predicted where score > threshold
  std::span<const uint32_t> image = {};  ///< number of each image, equal in all seeds and models;
                                         ///< empty: 0, 1, 2, ...
};

/// A metric, or its mean over seeds, with its interval.
struct Estimate {
  double value;
  Interval interval;

  bool operator==(const Estimate&) const = default;
};

/// Mean of the metric over `seeds`, one ScoredImages for each training. The interval speaks of
/// other images; from two seeds on, of other seeds too. Empty without seeds, or where a seed has
/// images of one class alone.
std::optional<Estimate> estimate(ScoreMetric metric, std::span<const ScoredImages> seeds,
                                 double confidence = kConfidence);

/// A metric of the pixels of all test images with its standard error over images and the error's
/// degrees of freedom (PixelMetrics::auroc_error).
struct PixelValue {
  double value, error, degrees;
};
/// Mean over `seeds` of a metric of pixels; the unit is the image, of which `images` have defects.
/// The error of the mean is the mean of the errors, as if one image erred alike in all seeds: the
/// most that it can be. From two seeds on the interval speaks of other seeds, too. Empty without
/// seeds or with fewer than two images.
std::optional<Estimate> pixel_estimate(std::span<const PixelValue> seeds, int64_t images,
                                       double confidence = kConfidence);

/// First minus second.
struct Difference {
  double estimate;
  Interval interval;    ///< 95 %
  Interval interval90;  ///< of two one-sided tests at 5 %

  /// The interval does not contain 0.
  bool excludes_zero() const { return interval.low > 0 || interval.high < 0; }
  /// Two one-sided tests at 5 % (Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987)
  /// both refuse a difference of `margin` or more. An interval that contains 0 shows no
  /// equivalence.
  bool equivalent_within(double margin) const {
    return -margin < interval90.low && interval90.high < margin;
  }
};
/// Difference of the means over seeds, which need not be as many. The limits of both models are
/// combined by MOVER with the correlation that common images cause: Zou and Donner, Statistics in
/// Medicine 27 (2008). Empty where one of the two has no estimate.
std::optional<Difference> difference(ScoreMetric metric, std::span<const ScoredImages> first,
                                     std::span<const ScoredImages> second);

/// Trainings of each model below which no difference is called a model's: the deviation of two
/// values is off by a factor of 2 or more in two cases of five.
inline constexpr int64_t kMinSeeds = 3;

}  // namespace assay
