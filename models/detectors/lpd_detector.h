// LPD as a detector: the score is the largest distance of a cell of the image to the bank of good
// features (models/detectors/lpd).
#pragma once

#include <vector>

#include "data/loader.h"
#include "models/detectors/detector.h"
#include "models/detectors/lpd/lpd.h"

namespace assay {

/// The options that LPD brings besides those of every model.
std::vector<Option> lpd_options();
/// UsageError for an image size or a device that LPD does not have.
void check_lpd_options(const RunConfig& config);

class LpdDetector : public Detector {
 public:
  /// predict() needs learn() or load() first.
  explicit LpdDetector(RunConfig config);

  /// Fits the model to the images at these positions, sets the threshold and the colour scale from
  /// their leave-one-out maps, and returns their leave-one-out scores in the same order.
  std::vector<double> learn(const ImageStore& good, const std::vector<size_t>& images);
  Prediction predict(const Tensor& x) override;
  double max_heat() const override;
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;

  const Lpd& lpd() const { return lpd_; }
  bool explains() const override { return true; }
  std::optional<Explanation> explain(std::span<const float> image) const override;

 private:
  void take_over(const LpdState& state);

  Lpd lpd_;
  std::vector<std::string> images_;  // Sample::path of the training images
};

}  // namespace assay
