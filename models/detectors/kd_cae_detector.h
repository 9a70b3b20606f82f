// KD-CAE as a detector. Component scores: r, the mean squared error of the reconstruction, and q,
// the negative log density of the latent (arXiv:2107.09204, section 3) or, with --density local,
// the largest distance of a cell of the encoder's maps to the same cell of good images
// (models/LPD.md).
#pragma once

#include <memory>
#include <optional>

#include "models/detectors/autoencoder_detector.h"
#include "models/detectors/kernel_density.h"
#include "models/detectors/lpd/place_density.h"
#include "models/networks/kd_cae.h"

namespace assay {

class KdCaeDetector : public AutoencoderDetector {
 public:
  /// `make` gives a KdCae. predict() needs the density first: learn() or load().
  KdCaeDetector(RunConfig config, const NetworkFactory& make);

  /// Fits the density to the latents (or maps) of the training images, without noise.
  void learn(const ImageStore& good, const std::vector<size_t>& train,
             const std::function<void(double)>& between_blocks) override;
  Prediction predict(const Tensor& x) override;
  std::optional<size_t> nearest_training_image(std::span<const float> image) override;
  double max_heat() const override;
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;
  Network& network() override { return *network_; }

 private:
  std::unique_ptr<Network> network_;
  KdCae& kd_cae_;  ///< is *network_
  bool is_local() const { return config_.own<std::string>("density") == "local"; }
  int map_side() const { return config_.image_size / KdCae::kMapCell; }
  void learn_places(const ImageStore& good, const std::vector<size_t>& train);
  std::vector<float> heat_of(const CellScores& scores) const;

  std::optional<KdeDetector> density_;  ///< --density global
  std::optional<PlaceDensity> places_;  ///< --density local
};

}  // namespace assay
