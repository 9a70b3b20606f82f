#include "models/evaluation/intervals.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "kernels/runtime/error.h"
#include "models/evaluation/metrics.h"
#include "models/evaluation/statistics.h"

namespace assay {
namespace {

double square(double x) {
  return x * x;
}

/// One trained model: its metric and the influence of each image, which sums to 0 in a class.
struct Influences {
  double value;
  std::vector<double> of_image;
};

/// Subtracts each class's mean and divides by its size, so that the sum of squares is a variance.
void centre(std::vector<double>& values, std::span<const uint8_t> defective) {
  double sum[2] = {}, count[2] = {};
  for (size_t i = 0; i < values.size(); ++i) {
    sum[defective[i] != 0] += values[i];
    ++count[defective[i] != 0];
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const int k = defective[i] != 0;
    values[i] = (values[i] - sum[k] / count[k]) / count[k];
  }
}

/// Placement values: the share of images of the other class that an image is ranked rightly
/// against; ties count one half.
Influences auroc_influences(const ScoredImages& images, const std::vector<Level>& levels) {
  Influences result{*auroc(levels), {}};
  struct Placement {
    double good, defective;
  };
  std::map<double, Placement> placements;  // by score
  double good = 0, defective = 0;
  for (const Level& level : levels) {
    good += static_cast<double>(level.good);
    defective += static_cast<double>(level.defective);
  }
  double good_above = 0, defective_above = 0;
  for (const Level& level : levels) {
    const auto g = static_cast<double>(level.good), d = static_cast<double>(level.defective);
    placements[level.score] = {.good = (defective_above + d / 2) / defective,
                               .defective = (good - good_above - g / 2) / good};
    good_above += g;
    defective_above += d;
  }
  for (size_t i = 0; i < images.scores.size(); ++i) {
    const Placement& placement = placements[images.scores[i]];
    result.of_image.push_back(images.defective[i] ? placement.defective : placement.good);
  }
  centre(result.of_image, images.defective);
  return result;
}

/// F1 = 2 T / (2 T + F + M) = 2 T / (T + defective + F) with hits T, false alarms F, misses M.
Influences f1_influences(const ScoredImages& images, const std::vector<Level>& levels) {
  const Confusion counts = confusion_at(levels, images.threshold);
  const auto hits = static_cast<double>(counts.tp), alarms = static_cast<double>(counts.fp),
             defective = static_cast<double>(counts.tp + counts.fn),
             good = static_cast<double>(counts.fp + counts.tn);
  const double divisor = square(hits + defective + alarms);
  // Derivatives by the two rates; centre() divides by the sizes of the classes.
  const double by_recall = defective * 2 * (defective + alarms) / divisor;
  const double by_alarms = good * -2 * hits / divisor;
  Influences result{*counts.f1(), {}};
  for (size_t i = 0; i < images.scores.size(); ++i) {
    const bool called = images.scores[i] > images.threshold;
    result.of_image.push_back(called ? (images.defective[i] ? by_recall : by_alarms) : 0);
  }
  centre(result.of_image, images.defective);
  return result;
}

/// The mean over seeds with the two parts of its variance.
struct Mean {
  double value = 0;
  double image_variance = 0, seed_variance = 0;
  double good = 0, defective = 0;  ///< images
  int64_t seeds = 0;
  std::map<uint32_t, double> influence;  ///< of each image on the mean
  std::map<uint32_t, bool> is_defective;

  double variance() const { return image_variance + seed_variance; }
};

std::optional<Mean> mean_of(ScoreMetric metric, std::span<const ScoredImages> seeds) {
  if (seeds.empty()) return std::nullopt;
  Mean mean;
  mean.seeds = static_cast<int64_t>(seeds.size());
  const double n = static_cast<double>(seeds.size());
  std::vector<double> values;
  for (const ScoredImages& images : seeds) {
    ASSAY_CHECK(images.image.empty() || images.image.size() == images.scores.size(),
                "intervals: {} images are numbered but {} scored", images.image.size(),
                images.scores.size());
    const std::vector<Level> levels = rank_scores(images.scores, images.defective);
    if (!auroc(levels)) return std::nullopt;
    const Influences one = metric == ScoreMetric::auroc ? auroc_influences(images, levels)
                                                        : f1_influences(images, levels);
    values.push_back(one.value);
    for (size_t i = 0; i < one.of_image.size(); ++i) {
      const uint32_t image = images.image.empty() ? static_cast<uint32_t>(i) : images.image[i];
      mean.influence[image] += one.of_image[i] / n;
      mean.is_defective[image] = images.defective[i] != 0;
    }
  }
  for (const double value : values) mean.value += value / n;
  if (values.size() > 1) mean.seed_variance = square(mean_deviation(values).deviation) / n;
  for (const auto& [image, defective] : mean.is_defective)
    ++(defective ? mean.defective : mean.good);
  return mean;
}

/// Sum over images of products of influences, with the factor n / (n - 1) of each class: the
/// variance over images of a mean, or the covariance of two.
double image_covariance(const Mean& a, const Mean& b) {
  const auto factor = [](double n) { return n > 1 ? n / (n - 1) : 1; };
  double sum[2] = {};
  for (const auto& [image, influence] : a.influence) {
    const auto other = b.influence.find(image);
    if (other != b.influence.end()) sum[a.is_defective.at(image)] += influence * other->second;
  }
  return factor(a.good) * sum[0] + factor(a.defective) * sum[1];
}

/// Wilson's interval of a proportion `p` of `n`: Wilson, JASA 22 (1927).
Interval wilson(double p, double n, double quantile) {
  const double q = square(quantile) / n;
  const double middle = (p + q / 2) / (1 + q);
  const double half = quantile / (1 + q) * std::sqrt(p * (1 - p) / n + q / (4 * n));
  return {std::clamp(middle - half, 0.0, p), std::clamp(middle + half, p, 1.0)};
}

Interval interval_of(const Mean& m, double confidence) {
  const double spread = m.value * (1 - m.value);
  const double smaller = std::min(m.good, m.defective);
  // A class of one image has no variance to estimate.
  const double all = smaller < 2 ? smaller : m.good + m.defective;
  const double estimated = m.image_variance > 0 ? spread / m.image_variance : 0;
  const auto limits = [&](double max_images, double quantile) {
    const double images = std::clamp(estimated, smaller, std::max(smaller, max_images));
    return wilson(m.value, 1 / (1 / images + (spread > 0 ? m.seed_variance / spread : 0)),
                  quantile);
  };
  const double degrees = m.seed_variance > 0 ? square(m.variance() / m.seed_variance) *
                                                   static_cast<double>(m.seeds - 1)
                                             : std::numeric_limits<double>::infinity();
  const double quantile = student_quantile((1 + confidence) / 2, degrees);
  const Interval guarded = limits(all, quantile);
  const Interval open =
      limits(smaller < 2 ? smaller : std::numeric_limits<double>::infinity(), quantile);
  return m.value >= 0.5 ? Interval{guarded.low, open.high} : Interval{open.low, guarded.high};
}

/// Limits of a - b from the limits of a and b and their correlation.
Interval mover(const Mean& a, const Mean& b, double confidence) {
  const Interval of_a = interval_of(a, confidence), of_b = interval_of(b, confidence);
  const double deviations = std::sqrt(a.variance() * b.variance());
  const double correlation =
      deviations > 0 ? std::clamp(image_covariance(a, b) / deviations, -1.0, 1.0) : 0;
  const auto margin = [&](double x, double y) {
    return std::sqrt(std::max(0.0, square(x) - 2 * correlation * x * y + square(y)));
  };
  const double estimate = a.value - b.value;
  return {std::max(-1.0, estimate - margin(a.value - of_a.low, of_b.high - b.value)),
          std::min(1.0, estimate + margin(of_a.high - a.value, b.value - of_b.low))};
}

/// mean_of() with its variance over images.
std::optional<Mean> complete_mean(ScoreMetric metric, std::span<const ScoredImages> seeds) {
  std::optional<Mean> mean = mean_of(metric, seeds);
  if (mean) mean->image_variance = image_covariance(*mean, *mean);
  return mean;
}

}  // namespace

std::optional<Estimate> estimate(ScoreMetric metric, std::span<const ScoredImages> seeds,
                                 double confidence) {
  ASSAY_CHECK(confidence > 0 && confidence < 1, "intervals: confidence={:g} is not between 0 and 1",
              confidence);
  const std::optional<Mean> mean = complete_mean(metric, seeds);
  if (!mean) return std::nullopt;
  return Estimate{mean->value, interval_of(*mean, confidence)};
}

std::optional<Estimate> pixel_estimate(std::span<const PixelValue> seeds, int64_t images,
                                       double confidence) {
  if (seeds.empty() || images < 2) return std::nullopt;
  const double n = static_cast<double>(seeds.size()), all = static_cast<double>(images);
  std::vector<double> values;
  double value = 0, error = 0, degrees_of_images = seeds.front().degrees;
  for (const PixelValue& seed : seeds) {
    values.push_back(seed.value);
    value += seed.value / n;
    error += seed.error / n;
    degrees_of_images = std::min(degrees_of_images, seed.degrees);
  }
  const double of_images = square(error);
  const double of_seeds = values.size() > 1 ? square(mean_deviation(values).deviation) / n : 0.0;
  const double variance = of_images + of_seeds, spread = value * (1 - value);
  if (variance <= 0 || spread <= 0)
    return Estimate{value, wilson(value, all, student_quantile((1 + confidence) / 2, all - 1))};
  const double degrees =
      square(variance) / (square(of_images) / degrees_of_images +
                          (values.size() > 1 ? square(of_seeds) / (n - 1) : 0.0));
  return Estimate{
      value, wilson(value, spread / variance, student_quantile((1 + confidence) / 2, degrees))};
}

std::optional<Difference> difference(ScoreMetric metric, std::span<const ScoredImages> first,
                                     std::span<const ScoredImages> second) {
  const std::optional<Mean> a = complete_mean(metric, first), b = complete_mean(metric, second);
  if (!a || !b) return std::nullopt;
  return Difference{a->value - b->value, mover(*a, *b, kConfidence),
                    mover(*a, *b, 2 * kConfidence - 1)};
}

}  // namespace assay
