#include "models/detectors/reconstruction_detector.h"

#include <algorithm>

#include "kernels/ssim/ssim.h"
#include "layers/state.h"
#include "models/training/checkpoint.h"

namespace assay {
namespace {

struct Dissimilarity {
  std::vector<double> mean;  ///< (N), 1 - mean SSIM
  std::vector<float> map;    ///< (N,H,W), 1 - SSIM, mean over the channels
};

Dissimilarity dissimilarity(const Tensor& x, const Tensor& reconstruction) {
  const SsimShape shape{static_cast<int>(x.dim(0)), static_cast<int>(x.dim(1)),
                        static_cast<int>(x.dim(2)), static_cast<int>(x.dim(3))};
  const Tensor value = Tensor::empty({shape.N}), map = Tensor::empty(x.shape());
  ssim(current_context(), shape, x.data<float>(), reconstruction.data<float>(),
       value.mutable_data<float>(), map.mutable_data<float>());
  Dissimilarity result;
  for (const double similarity : value.to_doubles()) result.mean.push_back(1 - similarity);
  const std::vector<float> values = map.to_floats();
  result.map.resize(values.size() / shape.C);
  for (size_t i = 0; i < values.size(); ++i)
    result.map[i / shape.C] += (1 - values[i]) / static_cast<float>(shape.C);
  return result;
}

}  // namespace

ReconstructionDetector::ReconstructionDetector(RunConfig config, const NetworkFactory& make)
    : AutoencoderDetector(std::move(config)), network_(make(config_)) {
  scoring_.component_names = {"ssim", "mse"};
  if (config_.score == "mse") std::swap(scoring_.component_names[0], scoring_.component_names[1]);
  scoring_.components_in_score = 1;
}

Prediction ReconstructionDetector::predict(const Tensor& x) {
  network_->eval();
  const Tensor y = (*network_)(x);
  Prediction prediction;
  prediction.reconstruction = y.to_floats();
  SquaredErrors squared = squared_errors(x, prediction.reconstruction);
  Dissimilarity dissimilar = dissimilarity(x, y);
  const bool by_ssim = config_.score == "ssim";
  for (size_t n = 0; n < squared.mean.size(); ++n) {
    const double s = dissimilar.mean[n], e = squared.mean[n];
    prediction.components.push_back(by_ssim ? std::vector{s, e} : std::vector{e, s});
  }
  prediction.heat = std::move(by_ssim ? dissimilar.map : squared.map);
  return prediction;
}

void ReconstructionDetector::save(const RunFolder& folder) const {
  write_checked(folder.model(), {save_state(*network_), metadata()});
}

void ReconstructionDetector::load(const RunFolder& folder) {
  const SafeTensors model = read_model(folder);
  load_state(*network_, model.tensors, folder.model().string());
}

}  // namespace assay
