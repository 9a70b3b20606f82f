// Baselines: detectors without a network, fitted to good images in one pass, which a trained model
// must beat to have learnt anything. Each expects something of an image and scores how far the
// image is from it:
//
//   mean     the mean of the training images, in deviations of each value
//   pca      the image's projection on the leading principal components
//   nearest  the training image nearest to it, by 16 x 16 pixels
//
// Their heat maps are blurred by a box of 9 x 9 pixels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/loader.h"
#include "models/detectors/detector.h"
#include "models/detectors/model_reader.h"

namespace assay {

/// A detector that is fitted to images instead of trained. predict() needs fit() or load() first.
class BaselineDetector : public Detector {
 public:
  /// `component` names the score in scores.csv.
  BaselineDetector(RunConfig config, const std::string& component);

  /// Fits to the images at these positions. DataError for fewer than two.
  virtual void fit(const ImageStore& good, const std::vector<size_t>& images) = 0;
  /// Writes the tensors of state() and the calibration.
  void save(const RunFolder& folder) const override;
  void load(const RunFolder& folder) override;
  /// What it expects of an image says nothing of whether it was fitted to anything: the mean is the
  /// same for all.
  bool must_reconstruct() const override { return false; }

 protected:
  virtual SafeTensors state() const = 0;
  virtual void set_state(const ModelReader& read) = 0;

  int64_t pixels() const { return int64_t{config_.image_size} * config_.image_size; }
  int64_t values() const { return pixels() * config_.channels(); }
};

/// Score: the largest value of the blurred map of deviations, whose pixel is the root mean square
/// over the channels of (x - mean) / (deviation + 0.01).
class MeanDetector : public BaselineDetector {
 public:
  explicit MeanDetector(RunConfig config) : BaselineDetector(std::move(config), "deviation") {}
  void fit(const ImageStore& good, const std::vector<size_t>& images) override;
  Prediction predict(const Tensor& x) override;
  double max_heat() const override;

 protected:
  SafeTensors state() const override;
  void set_state(const ModelReader& read) override;

 private:
  std::vector<float> mean_, deviation_;  // (H,W,C)
};

/// Score: the mean squared difference of an image and its projection. The components come from the
/// eigenvectors of the Gram matrix of the training images (Turk and Pentland, "Eigenfaces for
/// Recognition", 1991), of at most 500 of them.
class PcaDetector : public BaselineDetector {
 public:
  explicit PcaDetector(RunConfig config) : BaselineDetector(std::move(config), "residual") {}
  void fit(const ImageStore& good, const std::vector<size_t>& images) override;
  Prediction predict(const Tensor& x) override;
  double max_heat() const override;
  /// Fewer than asked for where the images have no more directions.
  int64_t components() const { return static_cast<int64_t>(axes_.size()) / values(); }

 protected:
  SafeTensors state() const override;
  void set_state(const ModelReader& read) override;

 private:
  std::vector<float> mean_;  // (H,W,C)
  std::vector<float> axes_;  // (components, H W C), orthonormal rows
};

/// Score: the root mean squared difference, over 16 x 16 pixels, of an image and the training image
/// for which it is smallest. The heat map is the difference of the two at full size.
class NearestDetector : public BaselineDetector {
 public:
  explicit NearestDetector(RunConfig config) : BaselineDetector(std::move(config), "distance") {}
  void fit(const ImageStore& good, const std::vector<size_t>& images) override;
  Prediction predict(const Tensor& x) override;
  bool explains() const override { return true; }
  /// The whole image is the place.
  std::optional<Explanation> explain(std::span<const float> image) const override;

 protected:
  SafeTensors state() const override;
  void set_state(const ModelReader& read) override;

 private:
  struct Match {
    size_t image;
    double distance;
  };
  Match nearest(std::span<const float> image) const;
  void make_thumbnails();

  std::vector<uint8_t> images_;     // (n,H,W,C)
  std::vector<float> thumbnails_;   // (n,16,16,C)
  std::vector<std::string> names_;  // Sample::path of each
};

/// UsageError for an image size that the 16 x 16 pixels do not divide, or for a device other than
/// the CPU.
void check_baseline_options(const RunConfig& config);

/// Mean over the box of 9 x 9 pixels around each pixel, of those that lie in the image; (H,W).
std::vector<float> box_blurred(std::span<const float> map, int H, int W);

}  // namespace assay
