// How an autoencoder becomes a detector: trained on good pictures, calibrated on held-out good
// pictures, evaluated on the test's.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "data/loader.h"
#include "models/detectors/detector.h"
#include "models/networks/network.h"
#include "models/training/trainer.h"

namespace assay {

/// A detector that compares a picture with its reconstruction.
class AutoencoderDetector : public Detector {
 public:
  using Detector::Detector;
  virtual Network& network() = 0;
  /// What is learnt of the training pictures besides the weights; called once these are final.
  virtual void learn(const ImageStore& good, const std::vector<size_t>& train);
};

/// Squared errors of N reconstructions, of each picture and each pixel.
struct SquaredErrors {
  std::vector<double> mean;  ///< (N)
  std::vector<float> map;    ///< (N,H,W), mean over the channels
};
/// x (N,H,W,C); `reconstruction` of the same shape.
SquaredErrors squared_errors(const Tensor& x, const std::vector<float>& reconstruction);

/// From an untrained detector and a prepared folder to metrics.json. Noise (equation 7) falls on a
/// tenth of the training and of the validation pictures: what calibrates the threshold is of the
/// condition that was trained. Error, DataError, Interrupted.
nlohmann::ordered_json train_autoencoder(AutoencoderDetector& detector, const RunFolder& folder,
                                         Start start, const TrainingHooks& hooks);

}  // namespace assay
