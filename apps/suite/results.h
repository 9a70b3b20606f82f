// Results of the runs in a folder: single runs, means over seeds, and differences of models on the
// images that both have scored.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/evaluation/intervals.h"
#include "models/evaluation/run_metrics.h"
#include "models/evaluation/statistics.h"
#include "models/run/config.h"
#include "models/run/folder.h"

namespace assay {

/// A finished run.
struct RunResult {
  RunFolder folder;
  RunConfig config;
  std::string command;  ///< makes the same run
  RunMetrics metrics;

  const CommonMetrics& common() const { return common_metrics(metrics); }
  /// Null for a run of a model that generates images.
  const DetectorMetrics* detector() const { return std::get_if<DetectorMetrics>(&metrics); }
  /// Null for a run of a model that scores images.
  const GeneratorMetrics* generator() const { return std::get_if<GeneratorMetrics>(&metrics); }
};

/// The finished runs in `root` (or `root` itself), by class, model, preset, noise and seed. There
/// is no list of runs, so runs of several machines are joined by copying them into one folder.
/// Damaged and linked runs are left out (failed_runs() lists them); CheckpointError if all are
/// damaged.
std::vector<RunResult> finished_runs(const std::filesystem::path& root);
/// The folders in `root` with a run that was started and is not finished, by name.
std::vector<std::filesystem::path> unfinished_runs(const std::filesystem::path& root);

/// Why a run in a suite's folder is left out that is a symbolic link: in a suite from a stranger it
/// could name any folder of this machine. Empty for another run.
std::string refused_link(const std::filesystem::path& run);
/// Why runs of a suite failed or are left out, by folder name; without runs that have succeeded
/// since.
std::map<std::string, std::string> failed_runs(const std::filesystem::path& root);
/// Adds to the stored failures and removes those that have succeeded since.
void note_failed_runs(const std::filesystem::path& root,
                      const std::map<std::string, std::string>& failed);

/// A table for a terminal: one line per group of seeds and per run of a generator.
std::string table_of(const std::vector<RunResult>& runs);

/// "<run> collapsed: ...; try ...", or "" if it has not collapsed.
std::string collapse_text(const RunResult& run);

/// The configuration of the last evaluation: `assay evaluate` may have used other data or noise
/// than the run was started with.
RunConfig as_evaluated(RunConfig config, const RunMetrics& metrics);

/// A number in the metrics of a run, such as &DetectorMetrics::image_auroc.
using Metric = std::function<std::optional<double>(const DetectorMetrics&)>;

/// Runs of a detector that differ only in their seed.
struct SeedGroup {
  std::vector<const RunResult*> runs;  ///< never empty; by seed
  /// "<preset>, noisy/noisy": the preset, train/test noise if there is any, and the options in
  /// which groups of a class with the same label differ.
  std::string label;

  const RunConfig& config() const { return runs.front()->config; }
  /// Metrics of the first run.
  const DetectorMetrics& first() const { return *runs.front()->detector(); }
  bool clean() const { return config().train_noise == "clean" && config().test_noise == "clean"; }
  /// Mean and deviation over the runs that have the metric. Empty when none has.
  std::optional<SeedSummary> summary(const Metric& metric) const;
  /// The mean over the runs with its 95 % interval: other images, and from two runs on other seeds.
  std::optional<Estimate> estimate(ScoreMetric metric) const;
  /// Likewise of the pixel AUROC. Empty where a run has none or its error was not stored.
  std::optional<Estimate> pixel_estimate() const;
};
/// Groups of the detectors' runs. `runs` outlives the groups.
std::vector<SeedGroup> seed_groups(const std::vector<RunResult>& runs);

/// First minus second, on the images that both have scored.
struct GroupDifference {
  const SeedGroup* first;
  const SeedGroup* second;
  Difference auroc, f1;                      ///< of the means over the seeds that both have
  double first_auroc = 0, second_auroc = 0;  ///< on these images, means over these seeds
  int64_t good = 0, defective = 0;           ///< images that both have scored, in one seed
  int64_t seeds = 0;
  int64_t seeds_ahead = 0;  ///< in which the first has the higher AUROC

  /// One model has the higher AUROC: the interval excludes 0, and there are kMinSeeds seeds.
  bool clear() const { return seeds >= kMinSeeds && auroc.excludes_zero(); }
};
/// Empty when they share no seed or no images, or these are all good or all defective.
std::optional<GroupDifference> difference_of(const SeedGroup& first, const SeedGroup& second);

/// results.json and results.csv of the runs in `root`; returns the former.
nlohmann::ordered_json write_results(const std::filesystem::path& root);

}  // namespace assay
