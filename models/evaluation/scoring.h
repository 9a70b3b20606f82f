// Predictions, scores.csv and metrics from the component scores of images.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/evaluation/calibration.h"
#include "models/evaluation/pixel_metrics.h"
#include "models/evaluation/run_metrics.h"
#include "models/evaluation/threshold.h"
#include "models/run/config.h"
#include "models/run/folder.h"

namespace assay {

/// An image with its score and the prediction.
struct ScoredImage {
  std::string path;
  std::string set;  ///< train, validation or test
  bool defective = false;
  std::string defect;  ///< "good", or the kind of defect
  std::vector<double> components;
  double score = 0;
  bool predicted_defective = false;
};

/// How a model combines component scores to a score and a prediction.
struct Scoring {
  enum class Rule : uint8_t {
    deviations,  ///< s = max of the z-scores (Calibration::z) of the first components_in_score
                 ///< components
    mean,        ///< s = mean of all components
  };
  Rule rule = Rule::deviations;
  std::vector<std::string> component_names;
  size_t components_in_score = 0;  ///< the others are only reported
  Calibration calibration;
  /// Of good images that the model did not learn from, ascending; empty in files of older versions
  /// and for a model that holds none out.
  std::vector<double> good_scores;
  double threshold = kThresholdDeviations;
  ThresholdRule threshold_rule;
  std::string own_rule;  ///< how the model sets the threshold itself; empty: by deviations

  /// The only place that sets a threshold; the model's own rule leaves it as it is. UsageError
  /// where the rule needs scores of good images and there are none.
  void set_threshold(const ThresholdRule& new_rule);
  /// How the threshold was set, and what that promises.
  std::string threshold_text() const;

  /// The one comparison of a score with the threshold.
  bool is_defective(double score) const { return score > threshold; }
  /// Sets score and predicted_defective from the components.
  void predict(ScoredImage& image) const;
};

/// Columns path, label, defect, score, predicted, the components, set; one row an image.
void write_scores(const std::filesystem::path& file, const std::vector<ScoredImage>& images,
                  const Scoring& scoring);

/// Writes the column `predicted` of such a file anew, for another threshold.
void predict_again(const std::filesystem::path& file, const Scoring& scoring);

/// Facts about a training, for metrics.json.
struct RunFacts {
  double seconds_train = 0;
  int epochs = 0;
  int64_t steps = 0;
  int best_epoch = 0;
  double best_validation_loss = 0;
  int64_t train_images = 0, validation_images = 0;
  bool collapsed = false;
};

/// Metrics of the scored test images. `pixels` is empty if defective images have no masks.
DetectorMetrics detector_metrics(const RunConfig& config, const Scoring& scoring,
                                 const std::vector<ScoredImage>& test,
                                 const std::optional<PixelMetrics>& pixels, const RunFacts& facts);

}  // namespace assay
