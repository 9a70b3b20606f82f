#include "models/evaluation/bootstrap.h"

#include <algorithm>
#include <vector>

#include "kernels/runtime/error.h"
#include "kernels/runtime/philox.h"
#include "models/evaluation/metrics.h"
#include "models/evaluation/statistics.h"

namespace assay {
namespace {

/// Indices of the images of each class.
struct Classes {
  std::vector<uint32_t> good, defective;

  explicit Classes(std::span<const uint8_t> labels) {
    for (size_t i = 0; i < labels.size(); ++i) {
      (labels[i] ? defective : good).push_back(static_cast<uint32_t>(i));
    }
  }
  bool both() const { return !good.empty() && !defective.empty(); }
};

/// Draws as many images of each class as there are, with replacement; the defective ones first.
void draw(const Classes& classes, uint64_t seed, int resample, std::vector<uint32_t>& images) {
  RandomSequence random(seed, RandomStream::bootstrap, static_cast<uint64_t>(resample));
  images.clear();
  for (const std::vector<uint32_t>* members : {&classes.defective, &classes.good}) {
    const uint32_t n = static_cast<uint32_t>(members->size());
    for (uint32_t i = 0; i < n; ++i) images.push_back((*members)[random.below(n)]);
  }
}

struct AurocF1 {
  double auroc, f1;
};

/// Scores sorted once. A resample changes only how many images each level holds, so it costs one
/// pass and uses the functions of metrics.h.
class ResampledModel {
 public:
  ResampledModel(const ScoredImages& images, std::span<const uint8_t> labels)
      : labels_(labels), threshold_(images.threshold), levels_(rank_scores(images.scores, labels)) {
    for (const double score : images.scores) {
      const auto level = std::lower_bound(levels_.begin(), levels_.end(), score,
                                          [](const Level& l, double s) { return l.score > s; });
      level_of_.push_back(static_cast<uint32_t>(level - levels_.begin()));
    }
  }

  /// Metrics of the current levels: first of the test set, then of the last resample. Both classes
  /// exist, so both values do.
  AurocF1 metrics() const { return {*auroc(levels_), *confusion_at(levels_, threshold_).f1()}; }

  void resample(std::span<const uint32_t> images) {
    for (Level& level : levels_) level.good = level.defective = 0;
    for (const uint32_t image : images) {
      Level& level = levels_[level_of_[image]];
      ++(labels_[image] ? level.defective : level.good);
    }
  }

 private:
  std::span<const uint8_t> labels_;
  double threshold_;
  std::vector<Level> levels_;
  std::vector<uint32_t> level_of_;  // of each image
};

Interval interval_of(std::vector<double>& values, double confidence) {
  std::sort(values.begin(), values.end());
  const double tail = 50 * (1 - confidence);  // per cent on each side
  return {percentile_of_sorted(values, tail), percentile_of_sorted(values, 100 - tail)};
}

/// One value per resample of each metric.
struct Samples {
  std::vector<double> auroc, f1;

  void add(const AurocF1& value) {
    auroc.push_back(value.auroc);
    f1.push_back(value.f1);
  }
};

void check_options(const BootstrapOptions& options) {
  ASSAY_CHECK(options.resamples > 0, "bootstrap: resamples={} must be positive", options.resamples);
  ASSAY_CHECK(options.confidence > 0 && options.confidence < 1,
              "bootstrap: confidence={:g} is not between 0 and 1", options.confidence);
}

}  // namespace

BootstrapIntervals bootstrap(const ScoredImages& images, std::span<const uint8_t> defective,
                             const BootstrapOptions& options) {
  check_options(options);
  ResampledModel model(images, defective);
  const Classes classes(defective);
  if (!classes.both()) return {};

  Samples samples;
  std::vector<uint32_t> drawn;
  for (int b = 0; b < options.resamples; ++b) {
    draw(classes, options.seed, b, drawn);
    model.resample(drawn);
    samples.add(model.metrics());
  }
  return {.auroc = interval_of(samples.auroc, options.confidence),
          .f1 = interval_of(samples.f1, options.confidence)};
}

PairedDifference paired_bootstrap(const ScoredImages& first, const ScoredImages& second,
                                  std::span<const uint8_t> defective,
                                  const BootstrapOptions& options) {
  check_options(options);
  ResampledModel a(first, defective), b(second, defective);
  const Classes classes(defective);
  if (!classes.both()) return {};

  const auto difference = [&] {
    const AurocF1 of_a = a.metrics(), of_b = b.metrics();
    return AurocF1{of_a.auroc - of_b.auroc, of_a.f1 - of_b.f1};
  };
  const AurocF1 estimate = difference();
  Samples samples;
  std::vector<uint32_t> drawn;
  for (int i = 0; i < options.resamples; ++i) {
    draw(classes, options.seed, i, drawn);
    a.resample(drawn);
    b.resample(drawn);
    samples.add(difference());
  }
  return {.auroc = Difference{estimate.auroc, interval_of(samples.auroc, options.confidence)},
          .f1 = Difference{estimate.f1, interval_of(samples.f1, options.confidence)}};
}

}  // namespace assay
