// A suite: one run per class, model, seed and noise condition, with results of all runs in one
// place.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/run/config.h"
#include "models/training/trainer.h"

namespace assay {

struct SuiteOptions {
  std::string data = "builtin";
  std::filesystem::path out;
  std::vector<std::string> classes;  ///< empty = those of the profile
  std::vector<std::string> models;   ///< empty = those of the profile
  /// "clean/clean", "clean/noisy", ...: training/test, for models with options of noise; empty =
  /// those of the profile.
  std::vector<std::string> noise;
  /// Names of SuiteVariant; those of the profile unless given, but none where `models` is given.
  std::optional<std::vector<std::string>> variants;
  std::string profile = "quick";  ///< quick | paper
  int64_t steps = 0;              ///< 0 = those of the profile
  int image_size = 0;             ///< 0 = the model's
  std::string precision = RunConfig().precision;
  int seeds = 0;  ///< 0 = those of the profile
  /// This process runs the trainings shard, shard + shards, ...; cells that share a training stay
  /// together.
  int shard = 1, shards = 1;
};

/// One run of a suite: class, model, seed and noise condition.
struct Cell {
  RunConfig config;
  std::filesystem::path folder;  ///< within the suite's
  std::string command;           ///< makes the same run outside of the suite
  bool in_this_shard = true;
  bool noise_sweep = false;  ///< sweep the noise of its test images, too
};

/// How the finished run in the cell's folder differs from the cell: "steps 4, not 3", or "a damaged
/// file (...)". Empty if it does not differ or is not finished.
std::string mismatch(const SuiteOptions& options, const Cell& cell);

/// All cells, class by class and models in the order of the registry, so that comparable runs
/// finish early. UsageError for an unknown profile, model, class, variant, noise condition or
/// shard.
std::vector<Cell> cells_of(const SuiteOptions& options);

/// A cell that ended with an error.
struct FailedCell {
  std::filesystem::path folder;
  std::string reason;
};

/// Number of a run among those that this process has to do.
struct SuitePosition {
  int number;  ///< from 1
  int of;
};

/// Trains every cell of this shard that is not finished, class by class, and resumes interrupted
/// ones. Writes results.json and results.csv after each, so that a killed suite loses at most one
/// epoch of one cell. A cell that fails does not stop the others. Shards have no cell in common, so
/// they need no locks and may run on several machines that share the folder. Interrupted.
std::vector<FailedCell> run_suite(
    const SuiteOptions& options,
    const std::function<TrainingHooks(const Cell&, const SuitePosition&)>& hooks_for);

}  // namespace assay
