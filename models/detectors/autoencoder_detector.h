// What detectors that compare an image with its reconstruction have in common.
#pragma once

#include <vector>

#include "data/loader.h"
#include "models/detectors/detector.h"
#include "models/networks/network.h"

namespace assay {

/// A detector that compares an image with its reconstruction.
class AutoencoderDetector : public Detector {
 public:
  using Detector::Detector;
  virtual Network& network() = 0;
  /// Fits what the detector needs besides the weights to the training images. Called once the
  /// weights are final.
  virtual void learn(const ImageStore& good, const std::vector<size_t>& train);
};

/// Squared errors of N reconstructions: of each image and of each pixel.
struct SquaredErrors {
  std::vector<double> mean;  ///< (N)
  std::vector<float> map;    ///< (N,H,W), mean over the channels
};
/// x (N,H,W,C); `reconstruction` of the same shape.
SquaredErrors squared_errors(const Tensor& x, const std::vector<float>& reconstruction);

}  // namespace assay
