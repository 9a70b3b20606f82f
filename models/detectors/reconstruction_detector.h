// An autoencoder as a detector. Component scores: 1 - mean SSIM of an image and its reconstruction
// (kernels/ssim/ssim.h), and their mean squared error. arXiv:2107.09204, section 3.
#pragma once

#include <memory>

#include "models/detectors/autoencoder_detector.h"

namespace assay {

/// The component that --score names decides and makes the heat map (1 - SSIM or the squared error
/// of each pixel); scores.csv and metrics.json hold the other one too.
class ReconstructionDetector : public AutoencoderDetector {
 public:
  ReconstructionDetector(RunConfig config, const NetworkFactory& make);

  Prediction predict(const Tensor& x) override;
  /// 1 - SSIM is at most 2, since SSIM is at least -1.
  double max_heat() const override { return config_.score == "ssim" ? 2 : 1; }
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;
  Network& network() override { return *network_; }

 private:
  std::unique_ptr<Network> network_;
};

}  // namespace assay
