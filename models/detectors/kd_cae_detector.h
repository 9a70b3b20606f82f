// KD-CAE as a detector. Component scores: r, the mean squared error of the reconstruction, and q,
// the negative log density of the latent. arXiv:2107.09204, section 3.
#pragma once

#include <memory>
#include <optional>

#include "models/detectors/autoencoder_detector.h"
#include "models/detectors/kernel_density.h"
#include "models/networks/kd_cae.h"

namespace assay {

class KdCaeDetector : public AutoencoderDetector {
 public:
  /// `make` gives a KdCae. predict() needs the density first: learn() or load().
  KdCaeDetector(RunConfig config, const NetworkFactory& make);

  /// Fits the density to the latents of the training images, without noise.
  void learn(const ImageStore& good, const std::vector<size_t>& train) override;
  Prediction predict(const Tensor& x) override;
  std::optional<size_t> nearest_training_image(std::span<const float> image) override;
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;
  Network& network() override { return *network_; }

 private:
  std::unique_ptr<Network> network_;
  KdCae& kd_cae_;  ///< is *network_
  std::optional<KdeDetector> density_;
};

}  // namespace assay
