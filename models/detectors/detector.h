// Detector: a trained model that maps images to component scores and heat maps.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/loader.h"
#include "models/evaluation/figures.h"
#include "models/evaluation/scoring.h"
#include "models/networks/network.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "tensor/safetensors.h"
#include "tensor/tensor.h"

namespace assay {

/// What a detector predicts for a batch of N images.
struct Prediction {
  std::vector<std::vector<double>> components;  ///< (N, Scoring::component_names.size())
  std::vector<float> reconstruction;            ///< (N,H,W,C); empty if the model has none
  std::vector<float> heat;  ///< (N,H,W), higher = more anomalous; empty if the model has none
};

/// Explanation of a score: the patch with the highest score and the most similar patch of a
/// training image.
struct Explanation {
  Patch patch;
  std::string nearest_image;  ///< Sample::path of the training image
  Patch nearest;              ///< in that image
  double distance;            ///< between the two patches, as in the score
};

/// A model whose reconstructions have a smaller deviation from image to image has collapsed.
inline constexpr double kCollapsedDeviation = 1e-3;

/// Makes the untrained network of a configuration. UsageError for an image size that it cannot
/// have.
using NetworkFactory = std::function<std::unique_ptr<Network>(const RunConfig&)>;

class Detector {
 public:
  explicit Detector(RunConfig config) : config_(std::move(config)) {}
  virtual ~Detector() = default;

  /// x (N,H,W,C) in [0,1], of the size and channels of config().
  virtual Prediction predict(const Tensor& x) = 0;

  /// Whether explain() is implemented.
  virtual bool explains() const { return false; }
  /// Explains the score of one image (H,W,C) of the kind that predict() takes.
  virtual std::optional<Explanation> explain(std::span<const float>) const { return {}; }

  /// The training image whose latent is nearest to that of an image (H,W,C), by its place in the
  /// list that the model was trained on. Empty where a model knows no latents, or where another
  /// component than their density decides on the image.
  virtual std::optional<size_t> nearest_training_image(std::span<const float>) { return {}; }

  /// Whether predict() returns reconstructions and heat maps.
  virtual bool draws_heat_maps() const { return true; }
  /// The upper bound of a pixel's heat: 1 for the squared error of values from 0 to 1.
  virtual double max_heat() const { return 1; }

  /// Whether reconstructions that hardly vary from image to image mean that nothing was learnt; if
  /// not, scores that do not vary mean it.
  virtual bool must_reconstruct() const { return true; }

  /// Stores the typical size of the training images, so that images of another shape can be named.
  void note_sizes(const ImageStore& training);
  /// The size that note_sizes() stored; 0 x 0 for a model of an earlier version.
  ImageSize training_size() const { return training_size_; }

  /// Sets the calibration, the threshold and the colour scale from predictions of held-out good
  /// images.
  void calibrate_on(const std::vector<Prediction>& held_out_good);
  /// Writes model.safetensors and the model's other files.
  virtual void save(const RunFolder& folder) const = 0;
  /// Reads what save() wrote. CheckpointError when a file is missing, damaged or of another model.
  virtual void load(const RunFolder& folder) = 0;

  const RunConfig& config() const { return config_; }
  const Scoring& scoring() const { return scoring_; }
  /// Calls Scoring::set_threshold().
  void set_threshold(const ThresholdRule& rule) { scoring_.set_threshold(rule); }
  /// The heat that gets the brightest colour, the same for all images of the model.
  double heat_scale() const { return heat_scale_; }
  /// __metadata__ of model.safetensors: model, preset, threshold, calibration.
  std::map<std::string, std::string> metadata() const;
  /// Whether the output was the same for all calibration images, so that nothing was learnt.
  bool collapsed() const { return collapsed_; }

 protected:
  /// Sets Scoring::good_scores, in any order.
  void keep_good_scores(std::vector<double> scores);
  /// Reads __metadata__ of model.safetensors.
  void read_metadata(const std::map<std::string, std::string>& entries, const std::string& source);
  /// Reads the folder's model.safetensors and its metadata. CheckpointError as for load().
  SafeTensors read_model(const RunFolder& folder);

  RunConfig config_;
  Scoring scoring_;
  double heat_scale_ = 1;
  bool collapsed_ = false;
  ImageSize training_size_;
};

}  // namespace assay
