#include "models/kd_cae_detector.h"

#include <cstdlib>

#include "layers/state.h"
#include "models/checkpoint.h"
#include "models/csv.h"
#include "tensor/permute.h"

namespace assay {

std::unique_ptr<KdCae> make_kd_cae(const RunConfig& config) {
  const auto variant =
      config.preset == "kd-cae-strided" ? KdCae::Variant::strided : KdCae::Variant::pooled;
  return std::make_unique<KdCae>(variant, config.image_size, config.channels());
}

KdCaeDetector::KdCaeDetector(RunConfig config, std::unique_ptr<KdCae> network)
    : Detector(std::move(config)), network_(std::move(network)) {
  scoring_.part_names = {"reconstruction", "density"};
}

void KdCaeDetector::fit_density(Tensor latents) {
  density_ = KdeDetector::fit(std::move(latents), parse_bandwidth(config_.kde_bandwidth));
}

Judgement KdCaeDetector::judge(const Tensor& x) {
  network_->eval();
  const Tensor z = network_->encode(x);
  Judgement judgement;
  judgement.reconstruction = network_->decode(z).to_floats();
  const std::vector<double> log_density = density_->log_density(flatten_nchw(z));
  const std::vector<float> original = x.to_floats();

  const int64_t N = x.dim(0), pixels = x.dim(1) * x.dim(2), C = x.dim(3);
  judgement.heat.resize(N * pixels);
  for (int64_t n = 0; n < N; ++n) {
    double sum = 0;
    for (int64_t i = n * pixels; i < (n + 1) * pixels; ++i) {
      double squares = 0;
      for (int64_t c = i * C; c < (i + 1) * C; ++c) {
        const double error = double{original[c]} - judgement.reconstruction[c];
        squares += error * error;
      }
      judgement.heat[i] = static_cast<float>(squares / static_cast<double>(C));
      sum += squares;
    }
    judgement.parts.push_back({sum / static_cast<double>(pixels * C), -log_density[n]});
  }
  return judgement;
}

void KdCaeDetector::save(const RunFolder& folder) const {
  SafeTensors latents;
  latents.tensors["z"] = StoredTensor::of(density_->latents());
  write_checked(folder.latents(), std::move(latents));
  SafeTensors model{save_state(*network_), metadata()};
  model.metadata["bandwidth"] = csv_number(density_->bandwidth());
  write_checked(folder.model(), std::move(model));
}

std::unique_ptr<KdCaeDetector> KdCaeDetector::load(const RunConfig& config,
                                                   const RunFolder& folder) {
  auto detector = std::make_unique<KdCaeDetector>(config, make_kd_cae(config));
  const SafeTensors model = read_checked(folder.model());
  detector->read_metadata(model.metadata, folder.model().string());
  load_state(*detector->network_, model.tensors, folder.model().string());
  const SafeTensors latents = read_checked(folder.latents());
  const auto z = latents.tensors.find("z");
  const auto bandwidth = model.metadata.find("bandwidth");
  ASSAY_CHECK_AS(CheckpointError, z != latents.tensors.end() && bandwidth != model.metadata.end(),
                 folder.latents().string(), ": has no latents 'z', or ", folder.model().string(),
                 " no bandwidth; train again with --force");
  detector->density_.emplace(z->second.tensor(), std::strtod(bandwidth->second.c_str(), nullptr));
  return detector;
}

}  // namespace assay
