// From the parts of every image's score to the verdict on a model: scores.csv and metrics.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/evaluation/bootstrap.h"
#include "models/evaluation/calibration.h"
#include "models/evaluation/pixel_metrics.h"
#include "models/run/config.h"
#include "models/run/folder.h"

namespace assay {

/// A metric or its interval [low, high], or null where it is not defined.
nlohmann::ordered_json json_of(const std::optional<double>& value);
nlohmann::ordered_json json_of(const std::optional<Interval>& interval);

/// One image and what a model says of it.
struct ScoredImage {
  std::string path;
  std::string set;  ///< train, validation or test
  bool defective = false;
  std::string defect;  ///< "good", or the kind of defect
  std::vector<double> parts;
  double score = 0;
  bool predicted_defective = false;
};

/// How a model turns parts into a verdict.
struct Scoring {
  enum class Rule : uint8_t {
    deviations,  ///< s = max of the deciding parts' deviations from held-out good images
    mean,        ///< s = mean of all parts: the probabilities of several classifiers
  };
  Rule rule = Rule::deviations;
  std::vector<std::string> part_names;
  size_t deciding = 0;  ///< so many parts, the first ones, make the score; others stand beside it
  Calibration calibration;
  double threshold = kThresholdDeviations;

  /// Fills score and predicted_defective from the parts.
  void judge(ScoredImage& image) const;
};

/// path,label,defect,score,predicted and the parts, one row an image.
void write_scores(const std::filesystem::path& file, const std::vector<ScoredImage>& images,
                  const Scoring& scoring);

/// What metrics.json says besides the scores.
struct RunFacts {
  double seconds_train = 0;
  int epochs = 0;
  int64_t steps = 0;
  int best_epoch = 0;
  double best_validation_loss = 0;
  int64_t train_images = 0, validation_images = 0;
  bool collapsed = false;
};

/// metrics.json; a metric that does not exist is null. `pixels` is
/// empty where no test image has a mask.
nlohmann::ordered_json metrics_json(const RunConfig& config, const Scoring& scoring,
                                    const std::vector<ScoredImage>& test,
                                    const std::optional<PixelMetrics>& pixels,
                                    const RunFacts& facts);

/// The lines that `train` and `evaluate` end with.
std::string summary_of(const nlohmann::ordered_json& metrics);

}  // namespace assay
