// Metrics of a detector on test images: how well its scores separate defective images from good
// ones (AUROC, average precision, F1-max, FPR at 95 % TPR) and what one threshold does (confusion).
//
// A higher score means more anomalous; positive = defective; an image is predicted defective
// exactly where score > threshold. A metric that does not exist on the data at hand (the AUROC of
// good images alone, the precision of no prediction) is std::nullopt, never a number. Scores that
// are not finite, or lists of unequal lengths, are an Error.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace assay {

/// The images (or pixels) with one score, which no threshold can separate.
struct Level {
  double score;
  int64_t good = 0, defective = 0;
};

/// Sorts once; distinct scores in descending order. Every metric of this file is then one pass.
/// `defective`: one label per score, non-zero = defective.
std::vector<Level> rank_scores(std::span<const double> scores, std::span<const uint8_t> defective);

/// Area under the ROC curve, added up level by level from the highest score down. A tied pair
/// counts one half (midranks), so this is the Mann-Whitney U divided by (good * defective). Exact
/// in integers up to the last division.
class AurocSum {
 public:
  void add(int64_t good, int64_t defective) {
    twice_area_ += static_cast<uint64_t>(good) * static_cast<uint64_t>(2 * tp_ + defective);
    tp_ += defective;
    fp_ += good;
  }
  /// Empty unless both classes were seen.
  std::optional<double> value() const;

 private:
  uint64_t twice_area_ = 0;  // of the curve in counts; 2 * good * defective < 2^64
  int64_t tp_ = 0, fp_ = 0;
};

/// Average precision, sum over levels of (recall gained) * (precision there), without interpolation
/// (scikit-learn's average_precision_score). Added up like AurocSum.
class AveragePrecisionSum {
 public:
  void add(int64_t good, int64_t defective) {
    tp_ += defective;
    fp_ += good;
    if (defective > 0) {
      sum_ += static_cast<double>(defective) * static_cast<double>(tp_) /
              static_cast<double>(tp_ + fp_);
    }
  }
  /// Empty unless both classes were seen: without good images it is 1 whatever the scores.
  std::optional<double> value() const;

 private:
  double sum_ = 0;
  int64_t tp_ = 0, fp_ = 0;
};

/// The four counts at a threshold, and the metrics of one threshold.
struct Confusion {
  int64_t tp = 0, fp = 0, tn = 0, fn = 0;

  /// TP / (TP + (FP + FN) / 2); empty where nothing is defective and nothing is called so.
  std::optional<double> f1() const;
  std::optional<double> precision() const;          ///< empty where nothing is called defective
  std::optional<double> recall() const;             ///< empty without defective images
  std::optional<double> specificity() const;        ///< share of good called good; empty without
  std::optional<double> accuracy() const;           ///< empty without images
  std::optional<double> balanced_accuracy() const;  ///< (recall + specificity) / 2

  /// Adds the counts of another fold, which may have another threshold.
  Confusion& operator+=(const Confusion& other);
};

std::optional<double> auroc(std::span<const Level> levels);
std::optional<double> average_precision(std::span<const Level> levels);

/// Counts where defective is predicted exactly for score > threshold (which must not be NaN).
Confusion confusion_at(std::span<const Level> levels, double threshold);

/// F1 of calling every image defective. It depends on the share of defective images only.
std::optional<double> f1_all_positive(std::span<const Level> levels);

struct F1Max {
  double f1, threshold;
};
/// The best F1 over all thresholds, with the highest threshold that reaches it (fewest false
/// alarms), half way between two neighbouring scores. It needs the labels, so on test images it is
/// an upper bound, not a result. Empty without defective images.
std::optional<F1Max> f1_max(std::span<const Level> levels);

/// The lowest false positive rate of a threshold that finds at least 95 % of the defective images
/// (no interpolation between thresholds). Empty unless both classes are there.
std::optional<double> fpr_at_95_tpr(std::span<const Level> levels);

/// A point of a curve to plot. ROC: x = false positive rate, y = true positive rate.
/// PR: x = recall, y = precision.
struct CurvePoint {
  double x, y;
};
/// Points from (0,0) to (1,1), one per level. Empty unless both classes exist.
std::vector<CurvePoint> roc_curve(std::span<const Level> levels);
/// Points from the highest score down, one per level, to be drawn as steps, as average precision
/// sums them. Empty unless both classes exist.
std::vector<CurvePoint> pr_curve(std::span<const Level> levels);

/// Metrics of images at one threshold and over all thresholds.
struct ImageMetrics {
  double threshold;
  Confusion confusion;  ///< at the threshold, and with it F1, precision, recall, accuracies
  std::optional<double> auroc, average_precision, fpr95, f1_all_positive;
  std::optional<F1Max> f1_max;
};
ImageMetrics image_metrics(std::span<const Level> levels, double threshold);

}  // namespace assay
