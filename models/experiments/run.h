// Runs: `assay train`, `assay evaluate` and the cells of a suite.
#pragma once

#include <optional>
#include <string>

#include "models/evaluation/run_metrics.h"
#include "models/evaluation/threshold.h"
#include "models/experiments/noise_sweep.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

/// Trains, calibrates and evaluates; returns the metrics. Start::resume leaves a finished run
/// unchanged. All images, including the test images, are read before anything is written or
/// deleted. UsageError for a folder that is not empty, belongs to a run with other options or is in
/// use by another process; DataError; CheckpointError; Interrupted.
RunMetrics train_run(const RunConfig& config, const RunFolder& folder, Start start,
                     const TrainingHooks& hooks);

/// Options of the run's configuration that an evaluation may replace.
struct EvaluationOptions {
  std::optional<std::string> data, good, bad, masks, test_noise;
  std::optional<std::string> precision;    ///< which the current context has
  std::optional<ThresholdRule> threshold;  ///< stored in the run
};
/// noise_sweep.h for the folder's model on those test images.
std::vector<NoisePoint> sweep_run(const RunFolder& folder, const EvaluationOptions& options = {});

/// Scores the test images with the folder's model and rewrites scores.csv, figures and
/// metrics.json.
RunMetrics evaluate_run(const RunFolder& folder, const EvaluationOptions& options = {});

}  // namespace assay
