// A trained model as evaluation and prediction use it: pictures in, parts of the score and heat
// out.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/evaluation/scoring.h"
#include "models/networks/network.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "tensor/safetensors.h"
#include "tensor/tensor.h"

namespace assay {

/// What a detector says of a batch of N pictures.
struct Judgement {
  std::vector<std::vector<double>> parts;  ///< of each picture, in the order of Scoring::part_names
  std::vector<float> reconstruction;       ///< (N,H,W,C); empty where there is none
  std::vector<float> heat;                 ///< (N,H,W), higher = more anomalous; or empty
};

/// A square of an image: its middle and side, pixels.
struct Patch {
  double x, y, side;
};
/// Why an image has its score: the place that decided, and what it is nearest to among good ones.
struct Explanation {
  Patch place;
  std::string nearest_image;  ///< Sample::path of a training image
  Patch nearest;              ///< its place there
  double distance;
};

/// A model whose output deviates less from picture to picture has collapsed.
inline constexpr double kCollapsedDeviation = 1e-3;

/// The untrained network of a configuration. UsageError for an image size that it cannot have.
using NetworkFactory = std::function<std::unique_ptr<Network>(const RunConfig&)>;

class Detector {
 public:
  explicit Detector(RunConfig config) : config_(std::move(config)) {}
  virtual ~Detector() = default;

  /// x (N,H,W,C) in [0,1], of the size and channels of config().
  virtual Judgement judge(const Tensor& x) = 0;

  /// Whether the model compares places, so that explain() has an answer.
  virtual bool explains() const { return false; }
  /// Of an image (H,W,C) as judge() takes them.
  virtual std::optional<Explanation> explain(std::span<const float>) const { return {}; }

  /// Whether a judgement has a heat map.
  virtual bool draws_heat_maps() const { return true; }
  /// No pixel's heat is above; 1 for the squared error of values from 0 to 1.
  virtual double most_heat() const { return 1; }

  /// Sets the calibration, the threshold and the colour scale from held-out good pictures.
  void calibrate_on(const std::vector<Judgement>& held_out_good);
  /// Writes model.safetensors and whatever else the model needs.
  virtual void save(const RunFolder& folder) const = 0;
  /// The inverse. CheckpointError when a file is not there, damaged or of another model.
  virtual void load(const RunFolder& folder) = 0;

  const RunConfig& config() const { return config_; }
  const Scoring& scoring() const { return scoring_; }
  /// The heat that gets the brightest colour, for all pictures.
  double heat_scale() const { return heat_scale_; }
  /// On the held-out pictures the output was the same for each: nothing was learnt.
  bool collapsed() const { return collapsed_; }

 protected:
  /// What __metadata__ of model.safetensors says, and back.
  std::map<std::string, std::string> metadata() const;
  void read_metadata(const std::map<std::string, std::string>& metadata, const std::string& source);
  /// The folder's model.safetensors, its metadata taken over. CheckpointError as for load().
  SafeTensors read_model(const RunFolder& folder);

  RunConfig config_;
  Scoring scoring_;
  double heat_scale_ = 1;
  bool collapsed_ = false;
};

}  // namespace assay
