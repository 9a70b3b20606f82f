#include "models/experiments/autoencoder_run.h"

#include <fmt/core.h>

#include "models/experiments/configure.h"
#include "models/experiments/one_class_run.h"

namespace assay {
namespace {

/// Trains the network from its initial weights, or leaves it at these (--untrained).
TrainingResult fit(AutoencoderDetector& detector, const OneClassImages& images,
                   const TrainingNoise& noise, const RunFolder& folder,
                   const TrainingHooks& hooks) {
  const RunConfig& config = detector.config();
  init_parameters(detector.network(), init_from_name(config.init), config.seed);
  if (config.untrained) return TrainingResult();
  BatchLoader batches(images.good, images.split.train,
                      {.batch = config.batch,
                       .seed = config.seed,
                       .noisy = noise.train,
                       .noise_variance = config.noise_variance,
                       .clean_target = config.denoise});
  ReconstructionStep step(detector.network(), config);
  const TrainingTask task{
      .model = config.preset, .step = step, .batches = batches, .validation_loss = [&] {
        return mean_loss(step, config, images.good, images.split.validation, noise.validation);
      }};
  return train(task, config, folder, hooks);
}

}  // namespace

DetectorMetrics train_autoencoder(AutoencoderDetector& detector, const RunFolder& folder,
                                  Start start, const TrainingHooks& hooks) {
  const RunConfig& config = detector.config();
  const OneClassImages images = begin_one_class_run(config, folder, start);
  const Split& split = images.split;
  say_beginning(hooks, config, images);
  if (split.validation.size() < 16)
    hooks.say(
        fmt::format("{} held-out good images make a rough deviation, and so a rough threshold",
                    split.validation.size()));
  const TrainingNoise noise(config, split);
  note_noise(folder, "train", images.good, noise.train);
  note_noise(folder, "validation", images.good, noise.validation);
  const TrainingResult result = fit(detector, images, noise, folder, hooks);
  LongPart search(hooks, "searching for the bandwidth");
  detector.learn(images.good, split.train, [&](double done) { search(done); });
  calibrate_on_held_out(detector, images, noise, folder, hooks);
  detector.save(folder);
  if (detector.collapsed())
    hooks.say(
        "the run collapsed: the output is the same for every validation image; try another "
        "--seed, a smaller --lr or --init he");
  return finish_one_class_run(detector, images, result, folder);
}

ModelSpec autoencoder_model(
    std::function<std::unique_ptr<AutoencoderDetector>(const RunConfig&)> make) {
  ModelSpec model;
  model.options = {"train_noise", "test_noise", "noise_variance", "noise_share", "denoise",
                   "untrained",   "k",          "threshold",      "target_fpr"};
  model.train = [make](const RunConfig& config, const RunFolder& folder, Start start,
                       const TrainingHooks& hooks) {
    return train_autoencoder(*make(config), folder, start, hooks);
  };
  model.evaluate = evaluate_detector;
  model.make_detector = make;
  model.export_networks = [make](const RunFolder& folder) {
    const std::shared_ptr<AutoencoderDetector> detector = make(load_config(folder.config()));
    detector->load(folder);
    return OnnxSource{
        .owner = detector, .networks = {&detector->network()}, .metadata = detector->metadata()};
  };
  model.make_step = [](Network& network, const RunConfig& config) {
    return std::make_unique<ReconstructionStep>(network, config);
  };
  model.collapse_hint =
      "the output is the same for every held-out image; try another --seed, a smaller --lr or "
      "--init he";
  return model;
}

}  // namespace assay
