// The supervised CNN as a detector. The score is the mean over the folds' networks of the
// probability that an image is defective. arXiv:2107.09204, section 3.
#pragma once

#include <memory>
#include <vector>

#include "models/detectors/detector.h"
#include "models/networks/network.h"

namespace assay {

class CnnDetector : public Detector {
 public:
  /// One network for each of config.folds, by `make`.
  CnnDetector(RunConfig config, const NetworkFactory& make);

  /// The component scores are the probabilities of the folds' networks; no reconstruction, no heat.
  Prediction predict(const Tensor& x) override;
  bool draws_heat_maps() const override { return false; }
  /// Writes fold0/model.safetensors and so on.
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;

  Network& network(int fold) { return *networks_[fold]; }
  /// The probability that each image is defective, by one fold's network.
  std::vector<double> probabilities(int fold, const Tensor& x);
  /// `collapsed`: some fold gives all its validation images the same probability.
  void set_collapsed(bool collapsed) { collapsed_ = collapsed; }

 private:
  std::vector<std::unique_ptr<Network>> networks_;
};

}  // namespace assay
