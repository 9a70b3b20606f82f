// An autoencoder as a detector: 1 - mean SSIM of an image and its reconstruction, or their mean
// squared error. arXiv:2107.09204, section 3; SSIM as kernels/ssim/ssim.h has it.
#pragma once

#include <memory>

#include "models/detectors/autoencoder_detector.h"

namespace assay {

/// The score that --score names is compared with the threshold; scores.csv and metrics.json hold
/// the other one too. The heat map is of the first: 1 - SSIM at each pixel, or the squared error.
class ReconstructionDetector : public AutoencoderDetector {
 public:
  ReconstructionDetector(RunConfig config, const NetworkFactory& make);

  Prediction predict(const Tensor& x) override;
  /// SSIM is from -1 to 1, so 1 - SSIM is at most 2.
  double max_heat() const override { return config_.score == "ssim" ? 2 : 1; }
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;
  Network& network() override { return *network_; }

 private:
  std::unique_ptr<Network> network_;
};

}  // namespace assay
