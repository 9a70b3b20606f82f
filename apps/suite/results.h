// What the runs under a folder found, together: every run, the mean over seeds, and the paired
// differences of models on the pictures that both have scored.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/evaluation/bootstrap.h"
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

/// The finished runs in `root` (or `root` itself), by class, model, preset, noise and seed. Needs
/// no list of them, so shards that ran on several machines join by lying in one folder. Damaged
/// ones are passed over, failed_runs() has them; CheckpointError when there are no others.
std::vector<RunResult> finished_runs(const std::filesystem::path& root);
/// The folders in `root` that hold a run which was begun and is not finished, by name.
std::vector<std::filesystem::path> unfinished_runs(const std::filesystem::path& root);

/// Runs of a suite that failed or whose files are damaged, by the names of their folders, and why.
/// What ran well since is not among them.
std::map<std::string, std::string> failed_runs(const std::filesystem::path& root);
/// Adds to these, and takes away what no longer fails.
void note_failed_runs(const std::filesystem::path& root,
                      const std::map<std::string, std::string>& failed);

/// All runs in a table for a terminal, a line for each group of seeds and each run of a generator.
std::string table_of(const std::vector<RunResult>& runs);

/// "<run> collapsed: ...; try ...", or "" for a run that learnt something.
std::string collapse_in_words(const RunResult& run);

/// The configuration of which these metrics speak: `assay evaluate` may have tested on other data
/// or under another condition than the run was started for.
RunConfig as_evaluated(RunConfig config, const RunMetrics& metrics);

/// A number in the metrics of a run, such as &DetectorMetrics::image_auroc.
using Metric = std::function<std::optional<double>(const DetectorMetrics&)>;

/// Runs of a detector that differ in their seed alone.
struct SeedGroup {
  std::vector<const RunResult*> runs;  ///< never empty; by seed
  /// "<preset>, noisy/noisy": preset, train/test noise where there is any, and the options in
  /// which groups of one class would otherwise have one label.
  std::string label;

  const RunConfig& config() const { return runs.front()->config; }
  /// Metrics of the first run.
  const DetectorMetrics& first() const { return *runs.front()->detector(); }
  bool clean() const { return config().train_noise == "clean" && config().test_noise == "clean"; }
  /// Mean and deviation over the runs that have the metric. Empty when none has.
  std::optional<SeedSummary> summary(const Metric& metric) const;
  /// A 95 % interval, its ends averaged over the runs that have it.
  std::optional<Interval> interval(std::optional<Interval> DetectorMetrics::*interval) const;
};
/// Groups of the detectors' runs. `runs` outlives the groups.
std::vector<SeedGroup> seed_groups(const std::vector<RunResult>& runs);

/// First minus second on the pictures that both have scored.
struct GroupDifference {
  const SeedGroup* first;
  const SeedGroup* second;
  PairedDifference difference;  ///< means over the seeds that both have, of estimates and of ends
  double first_auroc = 0, second_auroc = 0;  ///< on these pictures, means over these seeds
  int64_t good = 0, defective = 0;           ///< pictures that both have scored, in one seed
  int64_t seeds = 0;
  int64_t seeds_ahead = 0;  ///< in which the first has the higher AUROC

  /// The interval of the AUROC's difference does not contain 0.
  bool clear() const {
    return difference.auroc->interval.low > 0 || difference.auroc->interval.high < 0;
  }
};
/// Empty when they share no seed or no pictures, or these are of one kind.
std::optional<GroupDifference> difference_of(const SeedGroup& first, const SeedGroup& second);

/// results.json and results.csv of the runs in `root`; returns the former.
nlohmann::ordered_json write_results(const std::filesystem::path& root);

}  // namespace assay
