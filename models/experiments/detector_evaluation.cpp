#include "models/experiments/detector_evaluation.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/image_io.h"
#include "models/evaluation/figures.h"
#include "models/evaluation/pixel_metrics.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/run/data.h"
#include "models/run/reader.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

std::string figure_name(const Sample& sample) {
  return RunFolder::figure_name(sample.defect, sample.path);
}

/// Image n of a batch with image m of a prediction. The result has views of the arguments.
FigureInput figure_input(const RunConfig& config, std::span<const float> images, size_t n,
                         const Prediction& prediction, size_t m, std::span<const uint8_t> mask) {
  const int side = config.image_size, channels = config.channels();
  const size_t pixels = static_cast<size_t>(side) * side, values = pixels * channels;
  return {side,
          side,
          channels,
          images.subspan(n * values, values),
          prediction.reconstruction.empty()
              ? std::span<const float>()
              : std::span(prediction.reconstruction).subspan(m * values, values),
          std::span(prediction.heat).subspan(m * pixels, pixels),
          mask};
}

/// Pixels of the training images by their place in split.json, read when one is asked for. The data
/// may be gone since the training.
class TrainingImages {
 public:
  explicit TrainingImages(const RunFolder& folder) : folder_(folder) {}

  std::optional<std::vector<float>> operator[](size_t place) {
    try {
      const Json split = read_run_json(folder_.split());
      if (!split.contains("train") || place >= split["train"].size()) return {};
      const RunConfig config = load_config(folder_.config());
      if (!data_) data_ = open_data(config);
      for (const Sample& sample : data_->train_good) {
        if (Json(sample.path) != split["train"][place]) continue;
        std::vector<float> pixels;
        const ImageStore store = read_images(config, {sample}, false);
        for_each_batch(config, store, {0}, {},
                       [&](const Batch& batch) { pixels = batch.clean.to_floats(); });
        return pixels;
      }
    } catch (const SystemError&) {
      throw;
    } catch (const Error&) {  // no such data any more: the figure is left out
    }
    return {};
  }

 private:
  const RunFolder& folder_;
  std::optional<Dataset> data_;
};

/// Writes figures of the first image of each kind of defect and of the first good one, the same
/// among images with noise, and strips of the wrongly predicted images.
class FigureWriter {
 public:
  FigureWriter(const RunFolder& run, const RunFolder& out, Detector& detector,
               const std::vector<Sample>& samples)
      : folder_(out), detector_(detector), training_(run) {
    for (const Sample& sample : samples) names_.insert(figure_name(sample));
  }

  void offer(const Sample& sample, const FigureInput& image, const ScoredImage& scored) {
    if (drawn_.insert(sample.defect).second) {
      write_png(folder_.figures() / figure_name(sample), panel(image, detector_.heat_scale()));
      draw_nearest(sample, image);
    }
    if (scored.predicted_defective != sample.defective)
      (sample.defective ? misses_ : false_alarms_).offer(image, scored);
  }
  /// `clean` (1,H,W,C) is the image without its noise.
  void offer_noisy(const Sample& sample, const FigureInput& noisy, const Tensor& clean) {
    if (!drawn_noisy_.insert(sample.defect).second) return;
    const Prediction prediction = detector_.predict(clean);
    const std::vector<float> pixels = clean.to_floats();
    // A kind of defect may be called "noise": its figures keep their names.
    const std::string name = std::string(RunFolder::kNoisePrefix) + figure_name(sample);
    if (names_.contains(name)) return;
    write_png(folder_.figures() / name,
              noise_panel(figure_input(detector_.config(), pixels, 0, prediction, 0, {}), noisy,
                          detector_.heat_scale()));
  }
  void write_strips() const {
    write(misses_, folder_.misses());
    write(false_alarms_, folder_.false_alarms());
  }

 private:
  /// The kStripImages images whose scores are furthest on the wrong side.
  class Strip {
   public:
    explicit Strip(bool highest) : highest_(highest) {}

    void offer(const FigureInput& image, const ScoredImage& scored) {
      const std::pair key(highest_ ? -scored.score : scored.score, scored.path);
      images_.emplace(key, Kept{image,
                                {image.image.begin(), image.image.end()},
                                {image.heat.begin(), image.heat.end()}});
      if (images_.size() > kStripImages) images_.erase(std::prev(images_.end()));
    }
    void write(const std::filesystem::path& file, double heat_scale) const {
      if (images_.empty()) return;
      std::vector<FigureInput> views;
      for (const auto& [key, kept] : images_) {
        FigureInput& view = views.emplace_back(kept.view);
        view.image = kept.image;
        view.heat = kept.heat;
      }
      write_png(file, strip(views, heat_scale));
    }

   private:
    struct Kept {
      FigureInput view;  ///< its sizes; the spans are of a batch that is gone
      std::vector<float> image, heat;
    };
    bool highest_;
    std::map<std::pair<double, std::string>, Kept> images_;
  };

  void write(const Strip& strip, const std::filesystem::path& file) const {
    if (!names_.contains(file.filename().string())) strip.write(file, detector_.heat_scale());
  }
  void draw_nearest(const Sample& sample, const FigureInput& image) {
    const std::optional<size_t> place = detector_.nearest_training_image(image.image);
    if (!place) return;
    const std::optional<std::vector<float>> nearest = training_[*place];
    if (!nearest || nearest->size() != image.image.size()) return;
    // A kind of defect may be called "nearest": its figures keep their names.
    const std::string name = std::string(RunFolder::kNearestPrefix) + figure_name(sample);
    if (!names_.contains(name))
      write_png(folder_.figures() / name, nearest_panel(image, *nearest, detector_.heat_scale()));
  }

  const RunFolder& folder_;
  Detector& detector_;
  TrainingImages training_;
  std::set<std::string> names_;  // of the figures without noise that there could be
  std::set<std::string> drawn_, drawn_noisy_;
  Strip misses_{false}, false_alarms_{true};
};

}  // namespace

std::string why_no_pixel_metrics(const std::vector<Sample>& test) {
  int64_t defective = 0, without_mask = 0;
  for (const Sample& sample : test) {
    defective += sample.defective;
    without_mask += sample.defective && !has_mask(sample);
  }
  if (defective == 0) return "the test set has no defective image";
  if (without_mask == 0) return "";
  return fmt::format("{} of {} defective test images have no mask", without_mask, defective);
}

ScoredImage scored(const Sample& sample, const std::string& set,
                   const std::vector<double>& components, const Scoring& scoring) {
  ScoredImage image{.path = sample.path,
                    .set = set,
                    .defective = sample.defective,
                    .defect = sample.defect,
                    .components = components};
  scoring.predict(image);
  return image;
}

RunFacts facts_of(const TrainingResult& training, size_t train_images, size_t validation_images,
                  bool collapsed) {
  return {.seconds_train = training.history.seconds(),
          .epochs = training.epochs,
          .steps = training.steps,
          .best_epoch = training.best_epoch,
          .best_validation_loss = training.best_validation_loss,
          .train_images = static_cast<int64_t>(train_images),
          .validation_images = static_cast<int64_t>(validation_images),
          .collapsed = collapsed};
}

DetectorMetrics evaluate_on(const ImageStore& test, bool masks, Detector& detector,
                            const RunConfig& config, const RunFolder& run, const RunFolder& out,
                            const RunFacts& facts) {
  out.create();
  std::vector<ScoredImage> images;
  PixelEvaluation pixel_evaluation;
  FigureWriter figures(run, out, detector, test.samples());
  const std::vector<size_t> positions = all_of(test);
  const std::vector<size_t> noisy = noisy_among(config, positions, config.test_noise);
  note_noise(out, "test", test, noisy);
  for_each_batch(config, test, positions, noisy, [&](const Batch& batch) {
    const Prediction prediction = detector.predict(batch.x);
    const std::vector<float> originals = batch.x.to_floats();
    for (size_t n = 0; n < batch.images.size(); ++n) {
      const Sample& sample = test.sample(batch.images[n]);
      const FigureInput image =
          figure_input(config, originals, n, prediction, n, test.mask(batch.images[n]).pixels);
      images.push_back(scored(sample, "test", prediction.components[n], detector.scoring()));
      if (masks) pixel_evaluation.add(image.heat, image.mask, image.H, image.W);
      figures.offer(sample, image, images.back());
      if (std::binary_search(noisy.begin(), noisy.end(), batch.images[n]))
        figures.offer_noisy(sample, image, batch.clean.rows(static_cast<int64_t>(n), 1));
    }
  });
  figures.write_strips();
  write_scores(out.scores(), images, detector.scoring());
  std::optional<PixelMetrics> pixel_metrics;
  if (masks) pixel_metrics = pixel_evaluation.metrics();

  DetectorMetrics metrics =
      detector_metrics(config, detector.scoring(), images, pixel_metrics, facts);
  if (!pixel_metrics || !pixel_metrics->auroc) {
    metrics.why_no_pixel_metrics = why_no_pixel_metrics(test.samples());
    if (metrics.why_no_pixel_metrics.empty())
      metrics.why_no_pixel_metrics =
          "no mask marks a pixel at the model's size, or all mark every pixel";
  }
  metrics.heat_scale = detector.heat_scale();
  metrics.image_sizes = describe_sizes(test.file_sizes());
  write_metrics(out, metrics);
  return metrics;
}

void check_figure_names(const RunFolder& folder, const std::vector<Sample>& test) {
  std::vector<std::string> names;
  for (const Sample& sample : test) names.push_back(figure_name(sample));
  folder.check_names(names);
}

void use_threshold(Detector& detector, const RunConfig& config, const RunFolder& folder,
                   const RunFolder& out) {
  const ThresholdRule rule = threshold_rule(config);
  if (rule.kind == ThresholdRule::Kind::own) {
    detector.set_threshold(kept_threshold_rule(detector.config(), folder));
    return;
  }
  detector.set_threshold(rule);
  keep_threshold_rule(rule, out);
  if (!is_there(folder.good_scores())) return;
  write_file(out.good_scores(), read_run_file(folder.good_scores()));
  predict_again(out.good_scores(), detector.scoring());
}

DetectorMetrics evaluate_detector(const RunConfig& config, const RunFolder& folder,
                                  const RunFolder& out) {
  const std::unique_ptr<Detector> detector = load_detector(folder);
  const Dataset data = open_data_of(config, folder);
  check_figure_names(folder, data.test);
  const ImageStore test = read_images(config, data.test, true);
  use_threshold(*detector, config, folder, out);
  const SplitSizes split = check_split(folder);
  const TrainingResult training = read_result(config, folder, split.train);
  return evaluate_on(test, data.has_masks(), *detector, config, folder, out,
                     facts_of(training, split.train, split.validation, detector->collapsed()));
}

}  // namespace assay
