#include "models/experiments/anogan_run.h"

#include <fmt/format.h>

#include <optional>

#include "layers/init.h"
#include "layers/state.h"
#include "models/detectors/anogan_detector.h"
#include "models/experiments/configure.h"
#include "models/experiments/gan_run.h"
#include "models/experiments/one_class_run.h"
#include "models/run/reader.h"

namespace assay {
namespace {

/// A trained GAN that a run takes over.
struct Generator {
  StateDict weights;
  std::string history;  ///< the text of its history.csv
};

/// The run that --generator names; empty if it names none.
std::optional<Generator> read_generator(const RunConfig& config, const RunFolder& folder,
                                        Start start) {
  const std::string& root = config.own<std::string>("generator");
  if (root.empty()) return std::nullopt;
  ASSAY_CHECK_AS(UsageError, !config.untrained,
                 "--generator and --untrained: choose one; a trained generator is not untrained");
  const RunFolder source(root);
  const RunConfig other = load_config(source.config());
  ASSAY_CHECK_AS(UsageError, find_model(other.model).generate,
                 "--generator: {} is a run of {}, which generates no images", root, other.model);
  ASSAY_CHECK_AS(UsageError,
                 other.image_size == config.image_size && other.channels() == config.channels(),
                 "--generator: {} has images of {} pixels and {} channels, not {} and {}; give "
                 "--image-size and --grey as there",
                 root, other.image_size, other.channels(), config.image_size, config.channels());
  Dataset data = open_data(config);
  const Split split = choose_split(config, folder, start, data);
  const Split learnt = read_split(source.split(), data.train_good);
  ASSAY_CHECK_AS(UsageError, learnt.train == split.train,
                 "--generator: {} learnt from other images than this run's split has for training; "
                 "give --seed {} or --split {}",
                 root, other.seed, source.split().string());
  return Generator{save_state(*load_dcgan(source)), read_run_file(source.history())};
}

TrainingResult fit(AnoganDetector& detector, const OneClassImages& images,
                   const std::optional<Generator>& generator, const RunFolder& folder,
                   const TrainingHooks& hooks) {
  const RunConfig& config = detector.config();
  if (generator) {
    load_state(detector.gan(), generator->weights, config.own<std::string>("generator"));
    write_file(folder.history(), generator->history);
    return read_result(config, folder, images.split.train.size());
  }
  init_parameters(detector.gan(), init_from_name(config.init), config.seed);
  if (config.untrained) return TrainingResult();
  return train_dcgan(detector.gan(), images.good, images.split.train, config, folder, hooks);
}

}  // namespace

DetectorMetrics train_anogan(const RunConfig& config, const RunFolder& folder, Start start,
                             const TrainingHooks& hooks) {
  const std::optional<Generator> generator = read_generator(config, folder, start);
  const OneClassImages images = begin_one_class_run(config, folder, start);
  const Split& split = images.split;
  say_beginning(hooks, config, images);
  AnoganDetector detector(config);
  const TrainingResult result = fit(detector, images, generator, folder, hooks);
  hooks.say(fmt::format("looking for the latents of {} images, in {} steps of batches of {}",
                        split.validation.size() + images.test.size(),
                        config.own<int>("search_steps"), config.batch));
  detector.set_before_step([&] {
    if (hooks.stop_requested())
      throw Interrupted("interrupted while latents were looked for; go on with --resume");
  });
  calibrate_on_held_out(detector, images, TrainingNoise(config, split), folder, hooks, false);
  detector.save(folder);
  if (detector.collapsed())
    hooks.say("the run collapsed: the generator makes nearly the same image for every one");
  return finish_one_class_run(detector, images, result, folder);
}

}  // namespace assay
