#include "models/experiments/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/runtime/error.h"
#include "models/detectors/cnn_detector.h"
#include "models/detectors/kd_cae_detector.h"
#include "models/detectors/ni_cae_detector.h"
#include "models/experiments/cnn_run.h"
#include "models/experiments/detector_evaluation.h"
#include "models/experiments/gan_run.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

template <class D>
std::unique_ptr<Detector> make_detector(const RunConfig& config) {
  return std::make_unique<D>(config);
}

template <class D>
Json train_as(const RunConfig& config, const RunFolder& folder, Start start,
              const TrainingHooks& hooks) {
  D detector(config);
  return train_autoencoder(detector, folder, start, hooks);
}

template <class Step>
std::unique_ptr<TrainingStep> make_step(Network& network, const RunConfig& config) {
  return std::make_unique<Step>(network, config);
}
std::unique_ptr<TrainingStep> make_gan_step(Network& network, const RunConfig& config) {
  return std::make_unique<GanStep>(dynamic_cast<Dcgan&>(network), config);
}

const Model kModels[] = {
    {"cnn", train_cnn, evaluate_cnn, make_detector<CnnDetector>, make_step<ClassifierStep>,
     cnn_summary},
    {"kd-cae", train_as<KdCaeDetector>, evaluate_detector, make_detector<KdCaeDetector>,
     make_step<ReconstructionStep>, summary_of},
    {"ni-cae", train_as<NiCaeDetector>, evaluate_detector, make_detector<NiCaeDetector>,
     make_step<ReconstructionStep>, summary_of},
    {"dcgan", train_dcgan_run, evaluate_dcgan_run, nullptr, make_gan_step, dcgan_summary},
};

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Model& model : kModels) names.push_back(model.name);
  return names;
}

const Model& find_model(const std::string& name) {
  for (const Model& model : kModels)
    if (name == model.name) return model;
  throw UsageError(
      fmt::format("unknown model '{}'; there are: {}", name, fmt::join(model_names(), ", ")));
}

}  // namespace assay
