#include "models/experiments/predictor.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "data/loader.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/transfer.h"
#include "models/detectors/detector.h"
#include "models/evaluation/figures.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/run/data.h"

namespace assay {
namespace {

/// A copy without gaps between rows and without alpha.
Image image_of(const PixelView& view) {
  ASSAY_CHECK_AS(UsageError, view.data != nullptr && view.width >= 1 && view.height >= 1,
                 "predict: pixels of {}x{} at {}; give a size of at least 1x1", view.width,
                 view.height, static_cast<const void*>(view.data));
  ASSAY_CHECK_AS(UsageError, view.channels == 1 || view.channels == 3 || view.channels == 4,
                 "predict: {} channels; images have 1, 3 or 4", view.channels);
  const size_t row = static_cast<size_t>(view.width) * view.channels;
  const size_t stride = view.stride == 0 ? row : view.stride;
  ASSAY_CHECK_AS(UsageError, stride >= row, "predict: a stride of {} bytes for rows of {}", stride,
                 row);
  Image image(view.height, view.width, view.channels == 4 ? 3 : view.channels);
  for (int y = 0; y < view.height; ++y) {
    const uint8_t* from = view.data + static_cast<size_t>(y) * stride;
    if (view.channels != 4) {
      std::memcpy(image.at(y, 0), from, row);
      continue;
    }
    for (int x = 0; x < view.width; ++x) std::memcpy(image.at(y, x), from + 4 * x, 3);
  }
  return image;
}

/// The device of the options takes the place of the run's, which then keeps to its default
/// precision where it cannot have the run's.
RunConfig config_of(const RunFolder& folder, const PredictorOptions& options) {
  RunConfig config = load_config(folder.config());
  if (!options.device.empty() && options.device != config.device) {
    ASSAY_CHECK_AS(UsageError, options.device == "cpu" || options.device == "cuda",
                   "predictor: the device '{}' is none of cpu, cuda", options.device);
    config.device = options.device;
    config.precision = RunConfig().precision;
  }
  if (!options.precision.empty()) config.precision = options.precision;
  return config;
}

std::unique_ptr<OwnedContext> context_of(const RunConfig& config, int threads) {
  ASSAY_CHECK_AS(UsageError, threads >= 0, "predictor: {} threads; give 0 for all, or more",
                 threads);
  auto context = make_context(config.device == "cuda" ? Device::cuda() : Device::cpu(),
                              threads == 0 ? available_threads() : threads);
  set_precision(context->get(), precision_from_name(config.precision.c_str()));
  return context;
}

}  // namespace

PixelView view_of(const Image& image) {
  return {image.pixels.data(), image.width, image.height, image.channels};
}

struct Predictor::State {
  State(const RunFolder& folder, const PredictorOptions& options)
      : config(config_of(folder, options)), context(context_of(config, options.threads)) {
    const ContextScope scope(*context);
    detector = load_detector(folder);
  }

  Image fitted(const Image& image) const {
    return at_size(image, config.image_size, config.image_size, config.channels());
  }

  /// At most config.batch images, which fit the model. The caller holds `mutex`.
  void predict(std::span<const Image* const> images, std::vector<ImagePrediction>& results) const {
    const Prediction batch = detector->predict(batch_of(images));
    const size_t pixels = batch.heat.size() / images.size();
    for (size_t n = 0; n < images.size(); ++n) {
      ScoredImage scored;
      scored.components = batch.components[n];
      detector->scoring().predict(scored);
      const auto heat = batch.heat.begin() + static_cast<ptrdiff_t>(n * pixels);
      results.push_back({scored.score,
                         scored.predicted_defective,
                         std::move(scored.components),
                         {heat, heat + static_cast<ptrdiff_t>(pixels)}});
    }
  }

  const RunConfig config;
  const std::unique_ptr<OwnedContext> context;  // outlives the detector's tensors
  std::unique_ptr<Detector> detector;
  mutable std::mutex mutex;  // of the detector
};

Predictor::Predictor(const std::filesystem::path& run, const PredictorOptions& options)
    : state_(std::make_unique<State>(RunFolder(run), options)) {}
Predictor::~Predictor() = default;
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;

ImagePrediction Predictor::predict(const PixelView& image) const {
  return std::move(predict(std::span(&image, 1)).front());
}

ImagePrediction Predictor::predict(const std::filesystem::path& file) const {
  Sample sample;
  sample.path = sample.file = file;
  return predict(
      view_of(load(sample, {.masks = false, .bit_depth = bit_depth_of(state_->config)}).image));
}

std::vector<ImagePrediction> Predictor::predict(std::span<const PixelView> images) const {
  std::vector<Image> fitted(images.size());
  parallel_for(*state_->context, static_cast<int64_t>(images.size()),
               [&](int64_t i) { fitted[i] = state_->fitted(image_of(images[i])); });
  std::vector<const Image*> pointers;
  pointers.reserve(fitted.size());
  for (const Image& image : fitted) pointers.push_back(&image);
  return predict_at_size(pointers);
}

std::vector<ImagePrediction> Predictor::predict_at_size(
    std::span<const Image* const> images) const {
  for (const Image* image : images)
    ASSAY_CHECK_AS(
        UsageError,
        image->height == side() && image->width == side() && image->channels == channels(),
        "predict_at_size: an image of {}x{}x{}; the model takes {}x{}x{}", image->height,
        image->width, image->channels, side(), side(), channels());
  std::vector<ImagePrediction> results;
  results.reserve(images.size());
  const std::lock_guard lock(state_->mutex);
  const ContextScope scope(*state_->context);
  const auto batch = static_cast<size_t>(state_->config.batch);
  for (size_t at = 0; at < images.size(); at += batch)
    state_->predict(images.subspan(at, std::min(batch, images.size() - at)), results);
  return results;
}

Image Predictor::heat_map(const PixelView& image, const ImagePrediction& prediction) const {
  ASSAY_CHECK_AS(UsageError, state_->detector->draws_heat_maps(),
                 "heat_map: {} scores whole images and draws no heat maps", state_->config.model);
  ASSAY_CHECK_AS(UsageError, prediction.heat.size() == static_cast<size_t>(side()) * side(),
                 "heat_map: the prediction's map has {} pixels; the model's are {}x{}",
                 prediction.heat.size(), side(), side());
  const Image fitted = state_->fitted(image_of(image));
  return assay::heat_map({side(), side(), channels(), unit_pixels(fitted), {}, prediction.heat, {}},
                         state_->detector->heat_scale());
}

void Predictor::set_threshold(const ThresholdRule& rule) {
  const std::lock_guard lock(state_->mutex);
  state_->detector->set_threshold(rule);
}
double Predictor::threshold() const {
  return state_->detector->scoring().threshold;
}
const std::vector<std::string>& Predictor::component_names() const {
  return state_->detector->scoring().component_names;
}
int Predictor::side() const {
  return state_->config.image_size;
}
int Predictor::channels() const {
  return state_->config.channels();
}
const Detector& Predictor::detector() const {
  return *state_->detector;
}
Context& Predictor::context() const {
  return state_->context->get();
}

}  // namespace assay
