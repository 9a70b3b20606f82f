// What a folder of runs found, put in the order in which the report tells it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/suite/results.h"

namespace assay {

/// Everything about one object class.
struct ClassFindings {
  std::string name;
  std::string id;  ///< in links
  bool synthetic = false;
  std::vector<const SeedGroup*> groups;      ///< of models that judge images
  std::vector<const RunResult*> generators;  ///< DCGANs
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

/// A mean over the runs' metrics: 0 where a metric is missing in all.
double mean_auroc(const SeedGroup& group);

}  // namespace assay
