// A run from images to metrics: what `assay train`, `assay evaluate` and each cell of a suite do.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

/// Trains, calibrates and evaluates; returns the metrics. Start::resume leaves a finished run as it
/// is. All images, including those of the test, are read before anything is written or deleted.
/// Throws UsageError for a folder that is not empty, belongs to a run with other options or is in
/// use by another process; DataError; CheckpointError; Interrupted.
nlohmann::ordered_json train_run(const RunConfig& config, const RunFolder& folder, Start start,
                                 const TrainingHooks& hooks);

/// What an evaluation may change in the run's configuration.
struct EvaluationOptions {
  std::optional<std::string> data, good, bad, masks, test_noise;
};
/// Scores the test images with the folder's model and rewrites scores.csv, figures and
/// metrics.json.
nlohmann::ordered_json evaluate_run(const RunFolder& folder, const EvaluationOptions& options = {});

/// metrics.json of a finished run. CheckpointError where it is damaged or incomplete.
nlohmann::ordered_json read_metrics(const RunFolder& folder);

}  // namespace assay
