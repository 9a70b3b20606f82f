// How sure a metric is: percentile bootstrap intervals over the test images.
//
// A resample draws images with replacement within each class (stratified): the share of defective
// images, on which F1 hangs, stays that of the test set, and both classes are always there. The
// interval speaks of other test images for the same trained model, not of other trainings: that is
// what several seeds are for. Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
// section 13.3.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace assay {

struct BootstrapOptions {
  uint64_t seed = 0;
  int resamples = 2000;
  double confidence = 0.95;
};

struct Interval {
  double low, high;

  bool operator==(const Interval&) const = default;
};

/// The scores of one model on the test images, and its threshold.
struct ScoredImages {
  std::span<const double> scores;
  double threshold;
};

/// Empty unless both classes are there.
struct BootstrapIntervals {
  std::optional<Interval> auroc, f1;
};
/// Resample b is a function of (seed, b) alone. O(images) per resample after one sort.
/// `defective`: one label per score, non-zero = defective.
BootstrapIntervals bootstrap(const ScoredImages& images, std::span<const uint8_t> defective,
                             const BootstrapOptions& options = {});

struct Difference {
  double estimate;  ///< first minus second, on the test images themselves
  Interval interval;
};
/// Empty unless both classes are there.
struct PairedDifference {
  std::optional<Difference> auroc, f1;
};
/// First minus second, each resample drawing the same images for both. `defective` and both lists
/// of scores speak of the same images in the same order.
PairedDifference paired_bootstrap(const ScoredImages& first, const ScoredImages& second,
                                  std::span<const uint8_t> defective,
                                  const BootstrapOptions& options = {});

}  // namespace assay
