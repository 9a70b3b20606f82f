// What a folder of runs found, put in the order in which the report tells it.
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

/// Everything about one object class.
struct ClassFindings {
  std::string name;
  std::string id;  ///< in links
  bool synthetic = false;
  std::vector<const SeedGroup*> groups;      ///< of models that judge images
  std::vector<const RunResult*> generators;  ///< runs of models that score no images
  /// Those that the answer compares: each model without noise where there is such a run, else all
  /// of its groups.
  std::vector<const SeedGroup*> compared;
  /// The best group of the best model by AUROC, then that of the next best model. Empty where the
  /// test images are all of one kind.
  std::vector<const SeedGroup*> best;
  /// Of the best two, first minus second.
  std::optional<GroupDifference> difference;

  const SeedGroup* group_of(const std::string& model) const;  ///< the first compared; or nullptr
};

/// Views into itself: stays where it is.
struct Findings {
  explicit Findings(const std::filesystem::path& root);
  Findings(const Findings&) = delete;
  Findings& operator=(const Findings&) = delete;

  std::vector<RunResult> runs;
  std::vector<SeedGroup> groups;
  std::vector<ClassFindings> classes;
  std::vector<std::filesystem::path> unfinished;
  std::map<std::string, std::string> failed;  ///< by the name of the run: why

  bool synthetic() const;  ///< some of the data was drawn by a program
};

/// The models of the runs, in the order of the registry.
std::vector<const ModelSpec*> models_of(const Findings& findings);
/// Those of them for which `wanted` holds, as the report names them.
std::vector<std::string> names_of_models(const Findings& findings,
                                         const std::function<bool(const ModelSpec&)>& wanted);
/// The colour of a model in every chart.
int colour_of(const std::string& model);
std::vector<std::string> models_that_learn_from_defects(const Findings& findings);

/// A mean over the runs' metrics: 0 where a metric is missing in all.
double mean_auroc(const SeedGroup& group);

}  // namespace assay
