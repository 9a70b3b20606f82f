#include "models/experiments/lpd_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "models/detectors/lpd_detector.h"
#include "models/experiments/one_class_run.h"

namespace assay {
namespace {

/// The bank holds training and validation images, because leave-one-out scores need no held-out
/// images.
std::vector<size_t> bank_images(const Split& split) {
  std::vector<size_t> images = split.train;
  images.insert(images.end(), split.validation.begin(), split.validation.end());
  std::sort(images.begin(), images.end());
  return images;
}

DetectorMetrics train_lpd(const RunConfig& config, const RunFolder& folder, Start start,
                          const TrainingHooks& hooks) {
  const OneClassImages run = begin_one_class_run(config, folder, start);
  const std::vector<size_t> images = bank_images(run.split);
  say_beginning(hooks,
                fmt::format("{}: {} good and {} test images", config.object_class, images.size(),
                            run.test.size()),
                run.remarks);

  LpdDetector detector(config);
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<double> scores = detector.learn(run.good, images);
  detector.note_sizes(run.good);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const PlaceDensityState& places = detector.lpd().places().state();
  hooks.say(fmt::format(
      "{}, {} (place explains {:.0f} % of the responses' variance), {} x {} cells of {} channels",
      detector.lpd().state().posed ? "objects turned into one pose" : "images as they lie",
      places.local ? "each place compared with the same place"
                   : "each place compared with all places",
      100 * places.aligned_share, places.height, places.width, places.shape.C));
  if (detector.collapsed())
    hooks.say("the good images are all the same: every score of them is equal");

  std::vector<ScoredImage> scored_images;
  for (size_t i = 0; i < images.size(); ++i) {
    const bool validates =
        std::binary_search(run.split.validation.begin(), run.split.validation.end(), images[i]);
    scored_images.push_back(scored(run.good.sample(images[i]), validates ? "validation" : "train",
                                   {scores[i]}, detector.scoring()));
  }
  write_scores(folder.good_scores(), scored_images, detector.scoring());
  const double mean =
      std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
  const TrainingResult result =
      write_single_pass(config, folder, run.split.train.size(), mean, seconds);
  detector.save(folder);
  return finish_one_class_run(detector, run, result, folder);
}

}  // namespace

ModelSpec lpd_model() {
  ModelSpec model;
  model.name = "lpd";
  model.presets = {{"lpd", 256, 3, Init::he, nullptr}};
  model.options = {"k", "threshold", "target_fpr"};
  model.own_options = lpd_options();
  model.check = check_lpd_options;
  model.train = train_lpd;
  model.evaluate = evaluate_detector;
  model.make_detector = [](const RunConfig& config) {
    return std::make_unique<LpdDetector>(config);
  };
  model.collapse_hint = "the good images are all the same; give it more of them";
  model.suite = {{"quick", {.preset = "lpd", .max_classes = 2, .seeds = 1}},
                 {"paper", {.preset = "lpd", .max_classes = 1000, .seeds = 3}}};
  model.reconstructs = false;
  model.report = {.colour = 4,
                  .introduction =
                      "LPD, local patch density, which learns from good images alone and has no "
                      "network; its constants were developed on bottle, toothbrush and transistor",
                  .loss = "mean leave-one-out distance",
                  .score = "distance to the nearest good patch",
                  .threshold = "leave-one-out scores of its good images",
                  .heat_scale = "leave-one-out maps of its good images",
                  .heat = [](const RunConfig&) { return "distance to the nearest good patch"; }};
  return model;
}

}  // namespace assay
