// The supervised CNN as a detector: the mean of the probabilities that the networks of all folds
// give a picture of being defective. arXiv:2107.09204, section 3.
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

  /// Parts: the probability of each fold's network. There is no reconstruction and no heat.
  Judgement judge(const Tensor& x) override;
  bool draws_heat_maps() const override { return false; }
  /// Writes fold0/model.safetensors and so on.
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;

  Network& network(int fold) { return *networks_[fold]; }
  /// The probability of being defective that one fold's network gives each picture.
  std::vector<double> probabilities(int fold, const Tensor& x);
  /// Says whether some fold gives all its validation pictures one probability.
  void set_collapsed(bool collapsed) { collapsed_ = collapsed; }

 private:
  std::vector<std::unique_ptr<Network>> networks_;
};

}  // namespace assay
