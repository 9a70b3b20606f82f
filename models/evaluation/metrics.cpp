#include "models/evaluation/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/runtime/error.h"

namespace assay {
namespace {

std::optional<double> ratio(double part, double whole) {
  if (whole == 0) return std::nullopt;
  return part / whole;
}

struct Totals {
  int64_t good = 0, defective = 0;
  bool both() const { return good > 0 && defective > 0; }
};

Totals count(std::span<const Level> levels) {
  Totals totals;
  for (const Level& level : levels) {
    totals.good += level.good;
    totals.defective += level.defective;
  }
  return totals;
}

/// The threshold half way between level i and the level below it, so that rounding of either score
/// does not move an image to the other side.
double threshold_below(std::span<const Level> levels, size_t i) {
  const double score = levels[i].score;
  if (i + 1 == levels.size()) return score - 1e-6 * std::max(1.0, std::abs(score));
  const double middle = std::midpoint(levels[i + 1].score, score);
  return middle < score ? middle : levels[i + 1].score;
}

}  // namespace

std::vector<Level> rank_scores(std::span<const double> scores, std::span<const uint8_t> defective) {
  ASSAY_CHECK(scores.size() == defective.size(), "rank_scores: {} scores but {} labels",
              scores.size(), defective.size());
  std::vector<Level> levels(scores.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    ASSAY_CHECK(std::isfinite(scores[i]), "rank_scores: score {} is {:g}", i, scores[i]);
    levels[i] = {.score = scores[i], .good = !defective[i], .defective = defective[i] != 0};
  }
  std::sort(levels.begin(), levels.end(),
            [](const Level& a, const Level& b) { return a.score > b.score; });
  size_t distinct = 0;
  for (const Level& level : levels) {
    if (distinct > 0 && levels[distinct - 1].score == level.score) {
      levels[distinct - 1].good += level.good;
      levels[distinct - 1].defective += level.defective;
    } else {
      levels[distinct++] = level;
    }
  }
  levels.resize(distinct);
  return levels;
}

std::optional<double> AurocSum::value() const {
  return ratio(static_cast<double>(twice_area_),
               2.0 * static_cast<double>(tp_) * static_cast<double>(fp_));
}

std::optional<double> AveragePrecisionSum::value() const {
  if (tp_ == 0 || fp_ == 0) return std::nullopt;
  return sum_ / static_cast<double>(tp_);
}

std::optional<double> Confusion::f1() const {
  const double hits = static_cast<double>(tp);
  return ratio(hits, hits + static_cast<double>(fp + fn) / 2);
}

std::optional<double> Confusion::precision() const {
  return ratio(static_cast<double>(tp), static_cast<double>(tp + fp));
}

std::optional<double> Confusion::recall() const {
  return ratio(static_cast<double>(tp), static_cast<double>(tp + fn));
}

std::optional<double> Confusion::specificity() const {
  return ratio(static_cast<double>(tn), static_cast<double>(tn + fp));
}

std::optional<double> Confusion::accuracy() const {
  return ratio(static_cast<double>(tp + tn), static_cast<double>(tp + fp + tn + fn));
}

std::optional<double> Confusion::balanced_accuracy() const {
  const std::optional<double> found = recall(), spared = specificity();
  if (!found || !spared) return std::nullopt;
  return (*found + *spared) / 2;
}

Confusion& Confusion::operator+=(const Confusion& other) {
  tp += other.tp;
  fp += other.fp;
  tn += other.tn;
  fn += other.fn;
  return *this;
}

std::optional<double> auroc(std::span<const Level> levels) {
  AurocSum sum;
  for (const Level& level : levels) sum.add(level.good, level.defective);
  return sum.value();
}

std::optional<double> average_precision(std::span<const Level> levels) {
  AveragePrecisionSum sum;
  for (const Level& level : levels) sum.add(level.good, level.defective);
  return sum.value();
}

Confusion confusion_at(std::span<const Level> levels, double threshold) {
  ASSAY_CHECK(!std::isnan(threshold), "confusion_at: the threshold is not a number");
  Confusion counts;
  for (const Level& level : levels) {
    if (level.score > threshold) {
      counts += {.tp = level.defective, .fp = level.good};
    } else {
      counts += {.tn = level.good, .fn = level.defective};
    }
  }
  return counts;
}

std::optional<double> f1_all_positive(std::span<const Level> levels) {
  const Totals totals = count(levels);
  return Confusion{.tp = totals.defective, .fp = totals.good}.f1();
}

std::optional<F1Max> f1_max(std::span<const Level> levels) {
  Confusion counts{.fn = count(levels).defective};  // tn is not needed
  if (counts.fn == 0) return std::nullopt;
  double best = -1;
  size_t best_level = 0;
  for (size_t i = 0; i < levels.size(); ++i) {
    counts += {.tp = levels[i].defective, .fp = levels[i].good, .fn = -levels[i].defective};
    if (const double f1 = *counts.f1(); f1 > best) {
      best = f1;
      best_level = i;
    }
  }
  return F1Max{.f1 = best, .threshold = threshold_below(levels, best_level)};
}

std::optional<double> fpr_at_95_tpr(std::span<const Level> levels) {
  const Totals totals = count(levels);
  if (!totals.both()) return std::nullopt;
  int64_t tp = 0, fp = 0;
  for (const Level& level : levels) {
    tp += level.defective;
    fp += level.good;
    if (tp * 100 >= totals.defective * 95) break;
  }
  return static_cast<double>(fp) / static_cast<double>(totals.good);
}

std::vector<CurvePoint> roc_curve(std::span<const Level> levels) {
  const Totals totals = count(levels);
  if (!totals.both()) return {};
  std::vector<CurvePoint> curve = {{0, 0}};
  int64_t tp = 0, fp = 0;
  for (const Level& level : levels) {
    tp += level.defective;
    fp += level.good;
    curve.push_back({static_cast<double>(fp) / static_cast<double>(totals.good),
                     static_cast<double>(tp) / static_cast<double>(totals.defective)});
  }
  return curve;
}

std::vector<CurvePoint> pr_curve(std::span<const Level> levels) {
  const Totals totals = count(levels);
  if (!totals.both()) return {};
  std::vector<CurvePoint> curve;
  int64_t tp = 0, fp = 0;
  for (const Level& level : levels) {
    tp += level.defective;
    fp += level.good;
    curve.push_back({static_cast<double>(tp) / static_cast<double>(totals.defective),
                     static_cast<double>(tp) / static_cast<double>(tp + fp)});
  }
  return curve;
}

ImageMetrics image_metrics(std::span<const Level> levels, double threshold) {
  return {.threshold = threshold,
          .confusion = confusion_at(levels, threshold),
          .auroc = auroc(levels),
          .average_precision = average_precision(levels),
          .fpr95 = fpr_at_95_tpr(levels),
          .f1_all_positive = f1_all_positive(levels),
          .f1_max = f1_max(levels)};
}

}  // namespace assay
