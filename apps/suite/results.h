// What the runs under a folder found, together: every run, the mean over seeds, and the paired
// differences of models on the pictures that both have scored.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/evaluation/bootstrap.h"
#include "models/evaluation/statistics.h"
#include "models/run_config.h"
#include "models/run_folder.h"

namespace assay {

/// A finished run.
struct RunResult {
  RunFolder folder;
  RunConfig config;
  std::string command;  ///< makes the same run
  nlohmann::ordered_json metrics;

  /// False for a DCGAN: its metrics are of another kind.
  bool judges() const { return metrics.contains("image_auroc"); }
};

/// The finished runs in `root` (or `root` itself), by class, model, preset, noise and seed. Needs
/// no list of them, so shards that ran on several machines join by lying in one folder.
std::vector<RunResult> finished_runs(const std::filesystem::path& root);

/// Runs that differ in their seed alone.
struct SeedGroup {
  std::vector<const RunResult*> runs;  ///< never empty; by seed

  const RunConfig& config() const { return runs.front()->config; }
  /// "ni-cae-128, noisy/noisy": preset, and train/test noise where there is any.
  std::string label() const;
  /// Empty when no run has the metric.
  std::optional<SeedSummary> summary(const std::string& metric) const;
};
/// Of the runs that judge pictures. `runs` outlives the groups.
std::vector<SeedGroup> seed_groups(const std::vector<RunResult>& runs);

/// First minus second on the pictures that both have scored.
struct GroupDifference {
  const SeedGroup* first;
  const SeedGroup* second;
  PairedDifference difference;  ///< means over the seeds that both have, of estimates and of ends
  int64_t images = 0;           ///< that both have scored, in the first of these seeds
  int64_t seeds = 0;
};
/// Empty when they share no seed or no pictures.
std::optional<GroupDifference> difference_of(const SeedGroup& first, const SeedGroup& second);

/// results.json and results.csv of the runs in `root`; returns the former.
nlohmann::ordered_json write_results(const std::filesystem::path& root);

}  // namespace assay
