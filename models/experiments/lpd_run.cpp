#include "models/experiments/lpd_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "models/detectors/lpd_detector.h"
#include "models/experiments/detector_evaluation.h"
#include "models/run/data.h"
#include "models/run/history.h"

namespace assay {
namespace {

/// Training and validation images alike are the bank: leave-one-out needs none held out.
std::vector<size_t> bank_images(const Split& split) {
  std::vector<size_t> images = split.train;
  images.insert(images.end(), split.validation.begin(), split.validation.end());
  std::sort(images.begin(), images.end());
  return images;
}

DetectorMetrics train_lpd(const RunConfig& config, const RunFolder& folder, Start start,
                          const TrainingHooks& hooks) {
  Dataset data = open_data(config);
  const Split split = choose_split(config, folder, start, data);
  test_on_the_rest(paths_in_split(split, data.train_good), data);
  const ImageStore good = read_images(config, data.train_good, false);
  const ImageStore test = read_images(config, data.test, true);
  const std::vector<std::string> remarks = remarks_on(data, config, good, &test);
  begin_run(config, folder, start);
  write_split(folder.split(), split, data.train_good);
  const std::vector<size_t> images = bank_images(split);
  hooks.say(fmt::format("{}: {} good and {} test images", config.object_class, images.size(),
                        test.size()));
  for (const std::string& remark : remarks) hooks.say(remark);

  LpdDetector detector(config);
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<double> scores = detector.learn(good, images);
  detector.note_sizes(good);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const LpdState& state = detector.lpd().state();
  hooks.say(fmt::format(
      "{}, {} (place explains {:.0f} % of the responses' variance), {} x {} cells of {} channels",
      state.posed ? "objects turned into one pose" : "images as they lie",
      state.local ? "each place compared with the same place"
                  : "each place compared with all places",
      100 * state.aligned_share, detector.lpd().grid_height(), detector.lpd().grid_width(),
      state.shape.C));
  if (detector.collapsed())
    hooks.say("the good images are all the same: every score of them is equal");

  std::vector<ScoredImage> scored_images;
  for (size_t i = 0; i < images.size(); ++i) {
    const bool validates =
        std::binary_search(split.validation.begin(), split.validation.end(), images[i]);
    scored_images.push_back(scored(good.sample(images[i]), validates ? "validation" : "train",
                                   {scores[i]}, detector.scoring()));
  }
  write_scores(folder.good_scores(), scored_images, detector.scoring());
  // One line for the one pass; its loss is the mean leave-one-out score.
  const double mean =
      std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
  History history({"epoch", "train_loss", "validation_loss", "seconds"});
  history.add({1, mean, mean, seconds});
  history.write(folder.history());
  detector.save(folder);
  return evaluate_on(test, data.has_masks(), detector, config, folder,
                     facts_of(read_result(config, folder, images.size()), split.train.size(),
                              split.validation.size(), detector.collapsed()));
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
  model.report = {.colour = 4,
                  .introduction =
                      "LPD, local patch density, which learns from good images alone and has no "
                      "network; its constants were developed on bottle, toothbrush and transistor",
                  .loss = "mean leave-one-out distance",
                  .score = "distance to the nearest good patch",
                  .heat = [](const RunConfig&) { return "distance to the nearest good patch"; }};
  return model;
}

}  // namespace assay
