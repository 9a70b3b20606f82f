// What the runs under a folder found, together: every run, the mean over seeds, and the paired
// differences of models on the pictures that both have scored.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/evaluation/bootstrap.h"
#include "models/evaluation/statistics.h"
#include "models/run/config.h"
#include "models/run/folder.h"

namespace assay {

/// A finished run.
struct RunResult {
  RunFolder folder;
  RunConfig config;
  std::string command;  ///< makes the same run
  nlohmann::ordered_json metrics;

  /// False for a model that scores no images: its metrics are of another kind.
  bool judges() const { return metrics.contains("image_auroc"); }
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

/// "image AUROC 0.924, F1 0.884 (calling all defective: 0.750)", or a generator's first remark.
std::string in_short(const nlohmann::ordered_json& metrics);
/// All runs in a table for a terminal, a line for each group of seeds and each run of a generator.
std::string table_of(const std::vector<RunResult>& runs);

/// "<run> collapsed: ...; try ...", or "" for a run that learnt something.
std::string collapse_in_words(const RunResult& run);

/// The configuration of which these metrics speak: `assay evaluate` may have tested on other data
/// or under another condition than the run was started for.
RunConfig as_evaluated(RunConfig config, const nlohmann::ordered_json& metrics);

/// Runs that differ in their seed alone.
struct SeedGroup {
  std::vector<const RunResult*> runs;  ///< never empty; by seed
  /// "<preset>, noisy/noisy": preset, train/test noise where there is any, and the options in
  /// which groups of one class would otherwise have one label.
  std::string label;

  const RunConfig& config() const { return runs.front()->config; }
  bool clean() const { return config().train_noise == "clean" && config().test_noise == "clean"; }
  /// Of a number in metrics.json, by its name there. Empty when no run has it.
  std::optional<SeedSummary> summary(const std::string& metric) const;
  /// The 95 % interval of a metric, its ends averaged over the seeds.
  std::optional<Interval> interval(const std::string& metric) const;
};
/// Of the runs that judge pictures. `runs` outlives the groups.
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
