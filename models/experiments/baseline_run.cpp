#include "models/experiments/baseline_run.h"

#include <fmt/format.h>

#include <chrono>
#include <numeric>

#include "models/detectors/baseline_detectors.h"
#include "models/experiments/detector_evaluation.h"
#include "models/run/data.h"
#include "models/run/history.h"

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
  Dataset data = open_data(config);
  const Split split = choose_split(config, folder, start, data);
  test_on_the_rest(config, paths_in_split(split, data.train_good), data);
  const ImageStore good = read_images(config, data.train_good, false);
  const ImageStore test = read_images(config, data.test, true);
  const std::vector<std::string> remarks = remarks_on(data, config, good, &test);
  begin_run(config, folder, start);
  write_split(folder.split(), split, data.train_good);
  hooks.say(fmt::format("{}: {} training, {} validation and {} test images", config.object_class,
                        split.train.size(), split.validation.size(), test.size()));
  for (const std::string& remark : remarks) hooks.say(remark);

  const auto begin = std::chrono::steady_clock::now();
  detector.fit(good, split.train);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  calibrate_detector(detector, folder, good, split);
  detector.save(folder);
  if (detector.collapsed())
    hooks.say("the held-out good images are all the same: every score of them is equal");
  // One line for the one pass; its losses are mean scores.
  History history({"epoch", "train_loss", "validation_loss", "seconds"});
  history.add({1, mean_score(detector, good, split.train),
               mean_score(detector, good, split.validation), seconds});
  history.write(folder.history());
  return evaluate_on(test, data.has_masks(), detector, config, folder,
                     facts_of(read_result(config, folder, split.train.size()), split.train.size(),
                              split.validation.size(), detector.collapsed()));
}

template <class D>
ModelSpec baseline(const std::string& name, const std::string& introduction,
                   const std::string& heat) {
  ModelSpec model;
  model.name = name;
  model.is_baseline = true;
  model.presets = {{name, 128, 3, Init::he, nullptr}};
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
  model.report = {.colour = 5,
                  .introduction = introduction,
                  .loss = "mean score",
                  .heat = [heat](const RunConfig&) { return heat; }};
  return model;
}

}  // namespace

std::vector<ModelSpec> baseline_models() {
  ModelSpec mean =
      baseline<MeanDetector>("mean", "the mean of the good images (a baseline without a network)",
                             "deviations from the mean image");
  ModelSpec pca = baseline<PcaDetector>(
      "pca", "the principal components of the good images (a baseline without a network)",
      "squared residual, blurred");
  pca.own_options = {own_option("components", 40, at_least{1}, "principal components, at most")};
  ModelSpec nearest = baseline<NearestDetector>(
      "nearest", "the good image nearest to the one at hand (a baseline without a network)",
      "squared difference from the nearest good image, blurred");
  return {mean, pca, nearest};
}

}  // namespace assay
