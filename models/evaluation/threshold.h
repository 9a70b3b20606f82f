// The threshold above which a score is called defective: by which rule it is set, and which rate of
// false positives held-out good images can promise.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "models/evaluation/intervals.h"
#include "models/run/config.h"
#include "models/run/folder.h"

namespace assay {

struct ThresholdRule {
  enum class Kind : uint8_t {
    own,         ///< the model's
    deviations,  ///< --k: so many deviations above the mean of held-out good images
    fixed,       ///< --threshold: this score
    rate,        ///< --target-fpr: the share of good images that may be called defective
  };
  Kind kind = Kind::own;
  double value = 0;

  bool operator==(const ThresholdRule&) const = default;
};

/// What --k, --threshold and --target-fpr of a configuration say. UsageError for more than one.
ThresholdRule threshold_rule(const RunConfig& config);
/// The inverse.
void set_threshold_rule(RunConfig& config, const ThresholdRule& rule);

/// The rule of a trained run: that of its last `assay evaluate` with one of these options
/// (threshold.json), else that of its training. CheckpointError for a damaged file.
ThresholdRule kept_threshold_rule(const RunConfig& config, const RunFolder& folder);
void keep_threshold_rule(const ThresholdRule& rule, const RunFolder& folder);

/// What n held-out good scores promise of the next good image. Its rank among the n + 1 is uniform,
/// so it lies above the j-th highest with probability j / (n + 1) or less (Vovk et al., Algorithmic
/// Learning in a Random World, 2005). The rate of one set of n scores is Beta(j, n + 1 - j)
/// distributed (Vovk, Conditional validity of inductive conformal predictors, arXiv:1209.2673).
struct PromisedRate {
  double threshold = 0;        ///< the j-th highest score
  int64_t position = 0;        ///< j
  double rate = 0;             ///< j / (n + 1)
  Interval interval = {0, 0};  ///< central 95 % of the rate of these very scores
  bool kept = false;           ///< rate <= target; else no j is small enough and j = 1
};
/// `good_scores` ascending, not empty; 0 < target < 1.
PromisedRate promised_rate(std::span<const double> good_scores, double target);

}  // namespace assay
