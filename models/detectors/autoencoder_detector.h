// Detectors that compare an image with its reconstruction by an autoencoder.
#pragma once

#include <functional>
#include <vector>

#include "data/loader.h"
#include "models/detectors/detector.h"
#include "models/networks/network.h"

namespace assay {

class AutoencoderDetector : public Detector {
 public:
  using Detector::Detector;
  virtual Network& network() = 0;
  /// Fits what the detector needs besides the weights, such as a density, to the images at these
  /// positions. Called after training; does nothing by default. It may call `between_blocks`
  /// repeatedly, with the share of the work that is done, 0 to 1; the call may throw to stop it.
  virtual void learn(const ImageStore& good, const std::vector<size_t>& train,
                     const std::function<void(double)>& between_blocks);
};

/// Squared errors of N reconstructions, per image and per pixel.
struct SquaredErrors {
  std::vector<double> mean;  ///< (N)
  std::vector<float> map;    ///< (N,H,W), mean over the channels
};
/// x (N,H,W,C); `reconstruction` of the same shape.
SquaredErrors squared_errors(const Tensor& x, const std::vector<float>& reconstruction);

}  // namespace assay
