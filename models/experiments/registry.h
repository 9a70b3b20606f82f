// The models of the study as the program runs them: one row each. Whatever a verb or the suite
// needs to know of a model stands here, so that none of them asks for a model by its name.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "models/detectors/detector.h"
#include "models/networks/network.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

struct Model {
  const char* name;
  /// From a claimed folder to metrics.json: reads all pictures, trains (or goes on), evaluates.
  nlohmann::ordered_json (*train)(const RunConfig& config, const RunFolder& folder, Start start,
                                  const TrainingHooks& hooks);
  /// Scores the test pictures of `config` with the folder's model and rewrites metrics.json.
  nlohmann::ordered_json (*evaluate)(const RunConfig& config, const RunFolder& folder);
  /// Untrained; null for a model that judges no pictures.
  std::unique_ptr<Detector> (*make_detector)(const RunConfig& config);
  /// A training step of a network that was made for `config`; `assay profile` and the benchmarks
  /// time it. `network` outlives it.
  std::unique_ptr<TrainingStep> (*make_step)(Network& network, const RunConfig& config);
  /// The lines that `train` and `evaluate` end with.
  std::string (*summary)(const nlohmann::ordered_json& metrics);
};

/// UsageError for an unknown name; the message lists those there are.
const Model& find_model(const std::string& name);
std::vector<std::string> model_names();

}  // namespace assay
