// Evaluation of a detector on test images: scores.csv, figures and metrics.json.
#pragma once

#include "data/loader.h"
#include "models/detectors/detector.h"
#include "models/training/trainer.h"

namespace assay {

/// An image with its component scores, its score and its prediction.
ScoredImage scored(const Sample& sample, const std::string& set,
                   const std::vector<double>& components, const Scoring& scoring);

/// The facts about a training that metrics.json holds.
RunFacts facts_of(const TrainingResult& training, size_t train_images, size_t validation_images,
                  bool collapsed);

/// Images in each strip of misses and of false alarms.
inline constexpr size_t kStripImages = 8;

/// Scores every image of `test` and writes scores.csv, the figures and, last, metrics.json, which
/// it returns, into `out`. `masks`: every defective image has a mask, so pixel metrics are
/// computed. `run` holds the training, whose images some figures show.
DetectorMetrics evaluate_on(const ImageStore& test, bool masks, Detector& detector,
                            const RunConfig& config, const RunFolder& run, const RunFolder& out,
                            const RunFacts& facts);

/// Error for an image whose figure would have too long a name: before hours of training.
void check_figure_names(const RunFolder& folder, const std::vector<Sample>& test);

/// Why there are no pixel metrics on these test images; empty if each defective one has a mask.
std::string why_no_pixel_metrics(const std::vector<Sample>& test);

/// Sets the threshold of a loaded detector: by the rule of `config` if it has one, which is then
/// written into `out` for the run to keep, else by the rule that the run has kept
/// (kept_threshold_rule).
void use_threshold(Detector& detector, const RunConfig& config, const RunFolder& folder,
                   const RunFolder& out);

/// evaluate_on() for the folder's model and the test images that `config` names; writes into `out`.
DetectorMetrics evaluate_detector(const RunConfig& config, const RunFolder& folder,
                                  const RunFolder& out);

}  // namespace assay
