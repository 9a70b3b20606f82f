#include "models/detectors/kd_cae_detector.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <span>

#include "kernels/runtime/parallel.h"
#include "layers/state.h"
#include "models/detectors/lpd/features.h"
#include "models/run/csv.h"
#include "models/run/data.h"
#include "models/training/checkpoint.h"
#include "tensor/permute.h"

namespace assay {
namespace {

/// The encoder's maps have the position of their images, so each cell has its own bank.
const PlaceDensityOptions kPlaceOptions{.bank = "local"};

/// Compresses maps (N,h,w,64) by a power, as LPD does with pooled responses, so that one strong
/// edge does not outweigh all weak ones.
std::vector<float> place_features(const Tensor& maps) {
  const FeatureOptions options;
  std::vector<float> values = maps.to_floats();
  for (float& v : values)
    v = std::pow(v + static_cast<float>(options.floor), static_cast<float>(options.power));
  return values;
}

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

double KdCaeDetector::max_heat() const {
  return is_local() ? std::numeric_limits<double>::max() : AutoencoderDetector::max_heat();
}

void KdCaeDetector::learn_places(const ImageStore& good, const std::vector<size_t>& train) {
  std::vector<float> maps;
  for_each_batch(config_, good, train, {}, [&](const Batch& batch) {
    const std::vector<float> more = place_features(kd_cae_.maps(batch.x));
    maps.insert(maps.end(), more.begin(), more.end());
  });
  places_.emplace(kPlaceOptions);
  places_->fit(current_context(), std::move(maps), static_cast<int>(train.size()), map_side(),
               map_side(), [](int) { return true; });
}

void KdCaeDetector::learn(const ImageStore& good, const std::vector<size_t>& train,
                          const std::function<void(double)>& between_blocks) {
  network_->eval();
  if (is_local()) return learn_places(good, train);
  std::vector<float> z;
  for_each_batch(config_, good, train, {}, [&](const Batch& batch) {
    const std::vector<float> rows = kd_cae_.latents(batch.x).to_floats();
    z.insert(z.end(), rows.begin(), rows.end());
  });
  const auto n = static_cast<int64_t>(train.size());
  density_ = KdeDetector::fit(Tensor::from({n, static_cast<int64_t>(z.size()) / n}, z),
                              parse_bandwidth(config_.kde_bandwidth), between_blocks);
}

// (N, side, side)
std::vector<float> KdCaeDetector::heat_of(const CellScores& scores) const {
  const int side = config_.image_size, cells = map_side();
  const auto N = static_cast<int64_t>(scores.score.size());
  std::vector<float> heat(N * side * side);
  const auto at_cell = [](int pixel) { return (pixel + 0.5) / KdCae::kMapCell - 0.5; };
  parallel_for(current_context(), N, [&](int64_t n) {
    const auto map = std::span(scores.cells).subspan(n * cells * cells, int64_t{cells} * cells);
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x)
        heat[(n * side + y) * side + x] =
            value_between_cells(map, cells, cells, at_cell(y), at_cell(x));
  });
  return heat;
}

Prediction KdCaeDetector::predict(const Tensor& x) {
  network_->eval();
  const Tensor maps = kd_cae_.maps(x), z = kd_cae_.encode_maps(maps);
  Prediction prediction;
  prediction.reconstruction = kd_cae_.decode(z).to_floats();
  SquaredErrors errors = squared_errors(x, prediction.reconstruction);
  std::vector<double> q;
  if (is_local()) {
    const CellScores scores =
        places_->score(current_context(), place_features(maps), static_cast<int>(x.dim(0)));
    prediction.heat = heat_of(scores);
    q = scores.score;
  } else {
    prediction.heat = std::move(errors.map);
    for (const double log_density : density_->log_density(flatten_nchw(z)))
      q.push_back(-log_density);
  }
  for (size_t n = 0; n < q.size(); ++n) prediction.components.push_back({errors.mean[n], q[n]});
  return prediction;
}

std::optional<size_t> KdCaeDetector::nearest_training_image(std::span<const float> image) {
  if (is_local()) return {};
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
  SafeTensors latents;
  if (is_local()) {
    places_->save(latents);
  } else {
    model.metadata["bandwidth"] = csv_number(density_->bandwidth());
    latents.tensors["z"] = StoredTensor::of(density_->latents());
  }
  latents.metadata["model"] = write_checked(folder.model(), std::move(model));
  write_checked(folder.latents(), std::move(latents));
}

void KdCaeDetector::load(const RunFolder& folder) {
  const SafeTensors model = read_model(folder);
  load_state(*network_, model.tensors, folder.model().string());
  const SafeTensors latents = read_checked(folder.latents());
  const std::string source = folder.latents().string();
  const auto of = latents.metadata.find("model"), checksum = model.metadata.find("checksum");
  ASSAY_CHECK_AS(CheckpointError,
                 of == latents.metadata.end() || checksum == model.metadata.end() ||
                     of->second == checksum->second,
                 "{}: belongs to another model than {}; put back the one it was made with, or "
                 "train again with --force",
                 source, folder.model().string());
  if (is_local()) {
    places_.emplace(kPlaceOptions);
    places_->load(latents, source, map_side(), map_side(), KdCae::kMapChannels);
    return;
  }
  const auto z = latents.tensors.find("z");
  const auto bandwidth = model.metadata.find("bandwidth");
  ASSAY_CHECK_AS(CheckpointError, z != latents.tensors.end() && bandwidth != model.metadata.end(),
                 "{}: has no latents 'z', or {} no bandwidth; train again with --force", source,
                 folder.model().string());
  check_latents(z->second, kd_cae_.latent_size(), source);
  try {
    density_.emplace(z->second.tensor(), parse_bandwidth(bandwidth->second).value);
  } catch (const Error&) {
    throw CheckpointError(fmt::format("{}: its bandwidth '{}' is none; train again with --force",
                                      folder.model().string(), bandwidth->second));
  }
}

}  // namespace assay
