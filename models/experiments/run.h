// A run from pictures to metrics: what `assay train`, `evaluate` and each cell of a suite do.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

/// Trains, calibrates and evaluates; returns the metrics. A finished run is left as it is when
/// resumed. All pictures, those of the test included, are read before anything is written or thrown
/// away.
/// UsageError for a folder that is not empty, was started with other options or is another
/// process's; DataError;
/// CheckpointError; Interrupted.
nlohmann::ordered_json train_run(const RunConfig& config, const RunFolder& folder, Start start,
                                 const TrainingHooks& hooks);

/// What evaluation may change against the run's configuration.
struct EvaluationOptions {
  std::optional<std::string> data, test_noise;
};
/// Scores the test pictures with the folder's model and rewrites scores.csv, figures and
/// metrics.json.
nlohmann::ordered_json evaluate_run(const RunFolder& folder, const EvaluationOptions& options = {});

/// metrics.json of a finished run. CheckpointError where it is damaged or lacks a number that every
/// run of its kind has.
nlohmann::ordered_json read_metrics(const RunFolder& folder);

}  // namespace assay
