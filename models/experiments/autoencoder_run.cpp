#include "models/experiments/autoencoder_run.h"

#include <fmt/core.h>

#include "models/experiments/detector_evaluation.h"
#include "models/run/data.h"

namespace assay {
namespace {

/// One training from initial weights to a calibrated detector.
class AutoencoderRun {
 public:
  AutoencoderRun(AutoencoderDetector& detector, const RunFolder& folder, const ImageStore& good,
                 const Split& split)
      : detector_(detector),
        config_(detector.config()),
        folder_(folder),
        good_(good),
        split_(split),
        noisy_train_(noisy_among(split.train, config_.train_noise, config_.seed)),
        noisy_validation_(noisy_among(split.validation, config_.train_noise, config_.seed)) {}

  TrainingResult train(const TrainingHooks& hooks) {
    note_noise(folder_, "train", good_, noisy_train_);
    note_noise(folder_, "validation", good_, noisy_validation_);
    init_parameters(detector_.network(), init_from_name(config_.init), config_.seed);
    TrainingResult result = fit(hooks);
    detector_.learn(good_, split_.train);
    detector_.note_sizes(good_);
    calibrate();
    detector_.save(folder_);
    return result;
  }

 private:
  TrainingResult fit(const TrainingHooks& hooks) {
    BatchLoader batches(good_, split_.train,
                        {.batch = config_.batch,
                         .seed = config_.seed,
                         .noisy = noisy_train_,
                         .clean_target = config_.denoise});
    ReconstructionStep step(detector_.network(), config_);
    const TrainingTask task{
        .model = config_.preset, .step = step, .batches = batches, .validation_loss = [&] {
          return mean_loss(step, config_, good_, split_.validation, noisy_validation_);
        }};
    return assay::train(task, config_, folder_, hooks);
  }

  /// Calibrates on the validation images, then scores all good images for the report's histograms.
  void calibrate() {
    std::vector<Prediction> held_out;
    for_each_batch(config_, good_, split_.validation, noisy_validation_,
                   [&](const Batch& batch) { held_out.push_back(detector_.predict(batch.x)); });
    detector_.calibrate_on(held_out);
    std::vector<ScoredImage> images;
    const auto score_all = [&](const char* set, const std::vector<size_t>& positions,
                               const std::vector<size_t>& noisy) {
      for_each_batch(config_, good_, positions, noisy, [&](const Batch& batch) {
        const Prediction prediction = detector_.predict(batch.x);
        for (size_t n = 0; n < batch.images.size(); ++n)
          images.push_back(scored(good_.sample(batch.images[n]), set, prediction.components[n],
                                  detector_.scoring()));
      });
    };
    score_all("train", split_.train, noisy_train_);
    score_all("validation", split_.validation, noisy_validation_);
    write_scores(folder_.good_scores(), images, detector_.scoring());
  }

  AutoencoderDetector& detector_;
  const RunConfig& config_;
  const RunFolder& folder_;
  const ImageStore& good_;
  const Split& split_;
  std::vector<size_t> noisy_train_, noisy_validation_;
};

/// How many defective images have no mask, and how many there are.
std::pair<int64_t, int64_t> without_mask(const std::vector<Sample>& samples) {
  std::pair<int64_t, int64_t> counts;
  for (const Sample& sample : samples) {
    counts.first += sample.defective && !has_mask(sample);
    counts.second += sample.defective;
  }
  return counts;
}

}  // namespace

DetectorMetrics train_autoencoder(AutoencoderDetector& detector, const RunFolder& folder,
                                  Start start, const TrainingHooks& hooks) {
  const RunConfig& config = detector.config();
  Dataset data = open_data(config);
  const Split split = choose_split(config, folder, start, data);
  test_on_the_rest(paths_in_split(split, data.train_good), data);
  // A damaged image is reported before hours of training and before --force deletes the old run.
  const ImageStore good = read_images(config, data.train_good, false);
  const ImageStore test = read_images(config, data.test, true);
  const std::vector<std::string> remarks = remarks_on(data, config, good, &test);
  begin_run(config, folder, start);
  write_split(folder.split(), split, data.train_good);
  hooks.say(fmt::format("{}: {} training, {} validation and {} test images", config.object_class,
                        split.train.size(), split.validation.size(), test.size()));
  for (const std::string& remark : remarks) hooks.say(remark);
  if (const auto [without, all] = without_mask(data.test); without > 0)
    hooks.say(
        fmt::format("{} of {} defective test images have no mask: no pixel metrics", without, all));
  if (split.validation.size() < 16)
    hooks.say(
        fmt::format("{} held-out good images make a rough deviation, and so a rough threshold",
                    split.validation.size()));
  const TrainingResult result = AutoencoderRun(detector, folder, good, split).train(hooks);
  if (detector.collapsed())
    hooks.say(
        "the run collapsed: the output is the same for every validation image; try another "
        "--seed, a smaller --lr or --init he");
  return evaluate_on(
      test, data.has_masks(), detector, config, folder,
      facts_of(result, split.train.size(), split.validation.size(), detector.collapsed()));
}

ModelSpec autoencoder_model(
    std::function<std::unique_ptr<AutoencoderDetector>(const RunConfig&)> make) {
  ModelSpec model;
  model.options = {"train_noise", "test_noise", "denoise", "k", "threshold", "target_fpr"};
  model.train = [make](const RunConfig& config, const RunFolder& folder, Start start,
                       const TrainingHooks& hooks) {
    return train_autoencoder(*make(config), folder, start, hooks);
  };
  model.evaluate = evaluate_detector;
  model.make_detector = make;
  model.make_step = [](Network& network, const RunConfig& config) {
    return std::make_unique<ReconstructionStep>(network, config);
  };
  model.collapse_hint =
      "the output is the same for every held-out image; try another --seed, a smaller --lr or "
      "--init he";
  return model;
}

}  // namespace assay
