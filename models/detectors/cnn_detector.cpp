#include "models/detectors/cnn_detector.h"

#include <fmt/core.h>

#include "layers/state.h"
#include "models/training/checkpoint.h"
#include "tensor/ops.h"

namespace assay {
namespace {

constexpr double kThreshold = 0.5;  // of the mean probability

}  // namespace

CnnDetector::CnnDetector(RunConfig config, const NetworkFactory& make)
    : Detector(std::move(config)) {
  scoring_.rule = Scoring::Rule::mean;
  scoring_.threshold = kThreshold;
  scoring_.own_rule = "as probably defective as good";
  set_threshold(threshold_rule(config_));
  for (int fold = 0; fold < config_.folds; ++fold) {
    networks_.push_back(make(config_));
    scoring_.component_names.push_back(fmt::format("fold{}", fold));
  }
}

std::vector<double> CnnDetector::probabilities(int fold, const Tensor& x) {
  networks_[fold]->eval();
  return sigmoid((*networks_[fold])(x)).to_doubles();
}

Prediction CnnDetector::predict(const Tensor& x) {
  Prediction prediction;
  prediction.components.resize(static_cast<size_t>(x.dim(0)));
  for (int fold = 0; fold < config_.folds; ++fold) {
    const std::vector<double> of_fold = probabilities(fold, x);
    for (size_t n = 0; n < of_fold.size(); ++n) prediction.components[n].push_back(of_fold[n]);
  }
  return prediction;
}

void CnnDetector::save(const RunFolder& folder) const {
  for (int fold = 0; fold < config_.folds; ++fold)
    write_checked(folder.fold(fold).model(), {save_state(*networks_[fold]), metadata()});
}

void CnnDetector::load(const RunFolder& folder) {
  for (int fold = 0; fold < config_.folds; ++fold) {
    const RunFolder of_fold = folder.fold(fold);
    const SafeTensors model = read_model(of_fold);
    load_state(*networks_[fold], model.tensors, of_fold.model().string());
  }
}

}  // namespace assay
