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
#include "optim/optimizer.h"

namespace assay {

/// A step of a model's training on made-up pictures, for profiles. The DCGAN has two objectives.
struct ExampleStep {
  struct Objective {
    std::function<Tensor()> loss;
    std::unique_ptr<Optimizer> optimizer;
  };
  std::unique_ptr<Network> network;
  std::vector<Objective> objectives;
  /// A layer with weights, and the products of its size that its backward pass computes: one for
  /// the gradient of the weights, one for that of the input, where they are wanted.
  struct Layer {
    LayerRow row;
    int backward_products;
  };
  /// In the order in which the step runs them forward.
  std::vector<Layer> layers;
};

struct Model {
  const char* name;
  /// From a claimed folder to metrics.json: reads all pictures, trains (or goes on), evaluates.
  nlohmann::ordered_json (*train)(const RunConfig& config, const RunFolder& folder, Start start,
                                  const TrainingHooks& hooks);
  /// Scores the test pictures of `config` with the folder's model and rewrites metrics.json.
  nlohmann::ordered_json (*evaluate)(const RunConfig& config, const RunFolder& folder);
  /// Untrained; null for a model that judges no pictures.
  std::unique_ptr<Detector> (*make_detector)(const RunConfig& config);
  ExampleStep (*example_step)(const RunConfig& config);
  /// The lines that `train` and `evaluate` end with.
  std::string (*summary)(const nlohmann::ordered_json& metrics);
};

/// UsageError for an unknown name; the message lists those there are.
const Model& find_model(const std::string& name);
std::vector<std::string> model_names();

}  // namespace assay
