// A trained model in a program of your own: load a run folder, then score images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace assay {

class Detector;
struct Context;
struct ThresholdRule;

/// Pixels in memory of the caller, 8 bits per value, row by row from the top.
struct PixelView {
  const uint8_t* data;
  int width, height;
  int channels;       ///< 1 grey, 3 red green blue, 4 red green blue alpha (alpha is dropped)
  size_t stride = 0;  ///< bytes from one row to the next; 0: rows without gaps
};
/// A view of an image, which outlives it.
PixelView view_of(const Image& image);

/// The prediction of a model for one image.
struct ImagePrediction {
  double score = 0;                ///< higher = more anomalous
  bool defective = false;          ///< score > Predictor::threshold()
  std::vector<double> components;  ///< of the score, in the order of Predictor::component_names()
  std::vector<float> heat;  ///< (side,side), higher = more anomalous; empty if the model has none
};

struct PredictorOptions {
  int threads = 0;  ///< of the CPU; 0: all that the process may use. Never changes a result.
  std::string device = "";     ///< "cpu" or "cuda"; empty: where the run was trained
  std::string precision = "";  ///< "fp32", "bf16", ...; empty: the run's
};

/// The model of a run folder. All members may be called from several threads at once: images are
/// resized in parallel, and the model works on one batch at a time with all threads of the
/// Predictor. A program with many threads should make one Predictor{run, {.threads = 1}} for each.
class Predictor {
 public:
  /// CheckpointError where the folder holds no finished training or a file is damaged; UsageError
  /// for a model that scores no images or a bad option; DeviceError for a device that is not there.
  explicit Predictor(const std::filesystem::path& run, const PredictorOptions& options = {});
  ~Predictor();
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;

  /// UsageError for pixels without a size or of another number of channels.
  ImagePrediction predict(const PixelView& image) const;
  /// A PNG, JPEG, BMP or GIF. DataError when it cannot be read.
  ImagePrediction predict(const std::filesystem::path& file) const;
  /// In the order of the images; faster than one by one. Rounding may differ from that of one image
  /// alone, as kernels for a single image add in another order.
  std::vector<ImagePrediction> predict(std::span<const PixelView> images) const;
  /// The same for images that are at the model's size and channels already (data/loader.h,
  /// at_size).
  std::vector<ImagePrediction> predict_at_size(std::span<const Image* const> images) const;

  /// The image at the model's size | the heat map over it | the colour bar. UsageError where the
  /// model draws no heat maps.
  Image heat_map(const PixelView& image, const ImagePrediction& prediction) const;

  /// The threshold of the run, unless set_threshold() was called.
  double threshold() const;
  /// Calls Scoring::set_threshold() for this Predictor only.
  void set_threshold(const ThresholdRule& rule);
  const std::vector<std::string>& component_names() const;
  int side() const;      ///< of the square that images are resized to, pixels
  int channels() const;  ///< that images are converted to
  /// For other uses of the detector: in a ContextScope of context(), never during a call of
  /// predict().
  const Detector& detector() const;
  Context& context() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay
