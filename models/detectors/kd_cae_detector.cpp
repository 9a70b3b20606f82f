#include "models/detectors/kd_cae_detector.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>

#include "layers/state.h"
#include "models/run/csv.h"
#include "models/run/data.h"
#include "models/training/checkpoint.h"
#include "tensor/permute.h"

namespace assay {
namespace {

void check_latents(const StoredTensor& z, int64_t D, const std::string& source) {
  ASSAY_CHECK_AS(
      CheckpointError,
      z.type == StoredType::f32 && z.shape.size() == 2 && z.shape[0] >= 1 && z.shape[1] == D,
      "{}: its latents are {} {} but the model's are F32 (n, {}); train again with --force", source,
      name_of(z.type), to_string(z.shape), D);
  for (const float value : z.tensor().to_floats())
    ASSAY_CHECK_AS(CheckpointError, std::isfinite(value),
                   "{}: its latents hold {:g}; train again with --force", source, value);
}

}  // namespace

KdCaeDetector::KdCaeDetector(RunConfig config, const NetworkFactory& make)
    : AutoencoderDetector(std::move(config)),
      network_(make(config_)),
      kd_cae_(dynamic_cast<KdCae&>(*network_)) {
  scoring_.component_names = {"reconstruction", "density"};
  scoring_.components_in_score = 2;
}

void KdCaeDetector::learn(const ImageStore& good, const std::vector<size_t>& train) {
  network_->eval();
  std::vector<float> z;
  for_each_batch(config_, good, train, {}, [&](const Batch& batch) {
    const std::vector<float> rows = kd_cae_.latents(batch.x).to_floats();
    z.insert(z.end(), rows.begin(), rows.end());
  });
  const auto n = static_cast<int64_t>(train.size());
  density_ = KdeDetector::fit(Tensor::from({n, static_cast<int64_t>(z.size()) / n}, z),
                              parse_bandwidth(config_.kde_bandwidth));
}

Prediction KdCaeDetector::predict(const Tensor& x) {
  network_->eval();
  const Tensor z = kd_cae_.encode(x);
  Prediction prediction;
  prediction.reconstruction = kd_cae_.decode(z).to_floats();
  SquaredErrors errors = squared_errors(x, prediction.reconstruction);
  const std::vector<double> log_density = density_->log_density(flatten_nchw(z));
  for (size_t n = 0; n < errors.mean.size(); ++n)
    prediction.components.push_back({errors.mean[n], -log_density[n]});
  prediction.heat = std::move(errors.map);
  return prediction;
}

std::optional<size_t> KdCaeDetector::nearest_training_image(std::span<const float> image) {
  network_->eval();
  const int64_t side = config_.image_size;
  const Tensor x = Tensor::from({1, side, side, config_.channels()}, {image.begin(), image.end()});
  const std::vector<double> components = predict(x).components.front();
  if (scoring_.calibration.z(1, components[1]) <= scoring_.calibration.z(0, components[0]))
    return {};
  const std::vector<float> z = kd_cae_.latents(x).to_floats();
  const std::vector<float> known = density_->latents().to_floats();
  size_t nearest = 0;
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < known.size() / z.size(); ++i) {
    double squares = 0;
    for (size_t j = 0; j < z.size(); ++j) {
      const double difference = double{z[j]} - known[i * z.size() + j];
      squares += difference * difference;
    }
    if (squares < least) {
      least = squares;
      nearest = i;
    }
  }
  return nearest;
}

void KdCaeDetector::save(const RunFolder& folder) const {
  SafeTensors model{save_state(*network_), metadata()};
  model.metadata["bandwidth"] = csv_number(density_->bandwidth());
  SafeTensors latents;
  latents.tensors["z"] = StoredTensor::of(density_->latents());
  latents.metadata["model"] = write_checked(folder.model(), std::move(model));
  write_checked(folder.latents(), std::move(latents));
}

void KdCaeDetector::load(const RunFolder& folder) {
  const SafeTensors model = read_model(folder);
  load_state(*network_, model.tensors, folder.model().string());
  const SafeTensors latents = read_checked(folder.latents());
  const auto z = latents.tensors.find("z");
  const auto bandwidth = model.metadata.find("bandwidth");
  ASSAY_CHECK_AS(CheckpointError, z != latents.tensors.end() && bandwidth != model.metadata.end(),
                 "{}: has no latents 'z', or {} no bandwidth; train again with --force",
                 folder.latents().string(), folder.model().string());
  const auto of = latents.metadata.find("model"), checksum = model.metadata.find("checksum");
  ASSAY_CHECK_AS(CheckpointError,
                 of == latents.metadata.end() || checksum == model.metadata.end() ||
                     of->second == checksum->second,
                 "{}: belongs to another model than {}; put back the one it was made with, or "
                 "train again with --force",
                 folder.latents().string(), folder.model().string());
  check_latents(z->second, kd_cae_.latent_size(config_.image_size), folder.latents().string());
  try {
    density_.emplace(z->second.tensor(), parse_bandwidth(bandwidth->second).value);
  } catch (const Error&) {
    throw CheckpointError(fmt::format("{}: its bandwidth '{}' is none; train again with --force",
                                      folder.model().string(), bandwidth->second));
  }
}

}  // namespace assay
