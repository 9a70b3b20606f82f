// The results of a folder of runs by object class, with a verdict on each class.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/suite/results.h"
#include "models/experiments/registry.h"

namespace assay {

inline constexpr double kChance = 0.5;  ///< the AUROC of guessing
/// Two models whose AUROC differs by less are called equivalent.
inline constexpr double kEquivalenceMargin = 0.02;

/// Comparison of the best two groups of a class.
struct Verdict {
  enum class Kind : uint8_t {
    no_detector,     ///< no model that scores images was run
    one_kind,        ///< the test images are all good or all defective, so there is no AUROC
    single,          ///< only the leader has an AUROC
    not_comparable,  ///< the two have no common seed with common images
    undecided,       ///< the interval of their difference contains 0
    equivalent,      ///< likewise, and it lies within kEquivalenceMargin by two one-sided tests
    few_seeds,       ///< the interval excludes 0, but there are fewer than kMinSeeds seeds
    decided,         ///< the leader is better
  };
  Kind kind = Kind::no_detector;
  const SeedGroup* leader = nullptr;
  const SeedGroup* follower = nullptr;
  std::optional<Interval> leader_interval;  ///< of the leader's AUROC
  bool beats_chance = false;                ///< that interval lies above kChance
  // From undecided on, on the images that both have scored:
  double leader_auroc = 0, follower_auroc = 0;
  Interval difference{0, 0};  ///< of the AUROCs, leader minus follower
  int64_t images = 0;
  int64_t seeds = 0, seeds_ahead = 0;
  bool has_unpaired_seeds = false;  ///< some seed was run for only one of them
};

/// Everything about one object class.
struct ClassFindings {
  std::string name;
  std::string id;  ///< in links
  bool synthetic = false;
  std::vector<const SeedGroup*> groups;      ///< of models that score images
  std::vector<const RunResult*> generators;  ///< runs of models that score no images
  /// The groups that are compared: a model's runs without noise if there are any, else all.
  std::vector<const SeedGroup*> compared;
  /// The best group of the best model by AUROC, then that of the next best model. Empty if the test
  /// images are all good or all defective.
  std::vector<const SeedGroup*> best;
  /// Difference of the best two, first minus second.
  std::optional<GroupDifference> difference;
  Verdict verdict;

  const SeedGroup* group_of(
      const std::string& model) const;  ///< its first compared group, or nullptr
};

/// All results. Not copyable, because members point to each other.
struct Findings {
  explicit Findings(const std::filesystem::path& root);
  Findings(const Findings&) = delete;
  Findings& operator=(const Findings&) = delete;

  std::vector<RunResult> runs;
  std::vector<SeedGroup> groups;
  std::vector<ClassFindings> classes;
  std::vector<std::filesystem::path> unfinished;
  std::map<std::string, std::string> failed;  ///< run name -> reason

  bool synthetic() const;  ///< some class has images drawn by a program
};

/// The models of the runs, in the order of the registry.
std::vector<const ModelSpec*> models_of(const Findings& findings);
/// Names, as shown in the report, of the models for which `wanted` is true.
std::vector<std::string> names_of_models(const Findings& findings,
                                         const std::function<bool(const ModelSpec&)>& wanted);
/// The colour of a model in every chart.
int colour_of(const std::string& model);
std::vector<std::string> models_that_learn_from_defects(const Findings& findings);

/// Mean AUROC over the runs; 0 if none has one.
double mean_auroc(const SeedGroup& group);

}  // namespace assay
