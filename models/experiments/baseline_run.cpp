#include "models/experiments/baseline_run.h"

#include <fmt/format.h>

#include <chrono>

#include "models/detectors/baseline_detectors.h"
#include "models/experiments/one_class_run.h"

namespace assay {
namespace {

/// Mean score of some images of a store.
double mean_score(Detector& detector, const ImageStore& store, const std::vector<size_t>& images) {
  double sum = 0;
  for_each_batch(detector.config(), store, images, {}, [&](const Batch& batch) {
    for (const std::vector<double>& image : detector.predict(batch.x).components)
      sum += image.front();
  });
  return sum / static_cast<double>(images.size());
}

DetectorMetrics train_baseline(BaselineDetector& detector, const RunFolder& folder, Start start,
                               const TrainingHooks& hooks) {
  const RunConfig& config = detector.config();
  const OneClassImages images = begin_one_class_run(config, folder, start);
  const std::vector<size_t>& train = images.split.train;
  say_beginning(
      hooks,
      fmt::format("{}: {} training, {} validation and {} test images", config.object_class,
                  train.size(), images.split.validation.size(), images.test.size()),
      images.remarks);
  const auto begin = std::chrono::steady_clock::now();
  detector.fit(images.good, train);
  detector.note_sizes(images.good);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  calibrate_on_held_out(detector, images, TrainingNoise(config, images.split), folder, hooks);
  detector.save(folder);
  if (detector.collapsed())
    hooks.say("the held-out good images are all the same: every score of them is equal");
  const TrainingResult result = write_single_pass(
      config, folder, train.size(), mean_score(detector, images.good, train), seconds);
  return finish_one_class_run(detector, images, result, folder);
}

template <class D>
ModelSpec baseline(const std::string& name, const std::string& title,
                   const std::string& introduction, const std::string& heat) {
  ModelSpec model;
  model.name = name;
  model.is_baseline = true;
  model.presets = {{name, 128, 3, Init::he, nullptr}};
  model.options = {"k", "threshold", "target_fpr"};
  model.check = check_baseline_options;
  model.train = [](const RunConfig& config, const RunFolder& folder, Start start,
                   const TrainingHooks& hooks) {
    D detector(config);
    return train_baseline(detector, folder, start, hooks);
  };
  model.evaluate = evaluate_detector;
  model.make_detector = [](const RunConfig& config) { return std::make_unique<D>(config); };
  model.collapse_hint = "the held-out good images are all the same; give it others";
  model.suite = {{"quick", {.preset = name, .max_classes = 2, .seeds = 1}},
                 {"paper", {.preset = name, .max_classes = 1000, .seeds = 5}}};
  model.report = {.title = title,
                  .colour = 5,
                  .introduction = introduction,
                  .loss = "mean score",
                  .heat = [heat](const RunConfig&) { return heat; }};
  return model;
}

}  // namespace

std::vector<ModelSpec> baseline_models() {
  ModelSpec mean = baseline<MeanDetector>(
      "mean", "mean", "the mean of the good images (a baseline without a network)",
      "deviations from the mean image");
  ModelSpec pca = baseline<PcaDetector>(
      "pca", "PCA", "the principal components of the good images (a baseline without a network)",
      "squared residual, blurred");
  pca.own_options = {own_option("components", 40, at_least{1}, "principal components, at most")};
  ModelSpec nearest = baseline<NearestDetector>(
      "nearest", "nearest",
      "the good image nearest to the one at hand (a baseline without a network)",
      "squared difference from the nearest good image, blurred");
  return {mean, pca, nearest};
}

}  // namespace assay
