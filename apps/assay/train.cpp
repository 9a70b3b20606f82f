// assay train MODEL
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/assay/cli.h"
#include "apps/assay/progress.h"
#include "data/dataset.h"
#include "kernels/runtime/error.h"
#include "models/evaluation/scoring.h"
#include "models/experiments/registry.h"
#include "models/experiments/run.h"

namespace assay {
namespace {

struct TrainArguments {
  std::string model, preset, out;
  bool resume = false, force = false;
  int threads = 0;
};

void add_data_options(ConfigOptions& options) {
  options.group("Pictures");
  options.add("--data", &RunConfig::data, "builtin, or a folder in MVTec's layout");
  options.add("--class", &RunConfig::object_class, "the object class to learn");
  options.add("--good", &RunConfig::good, "a folder of your own good pictures");
  options.add("--bad", &RunConfig::bad, "a folder of your own defective pictures");
  options.add("--masks", &RunConfig::masks, "masks of the pictures in --bad");
  options.add("--split", &RunConfig::split_file,
              "a split.json to follow; else drawn from the seed");
  options.add("--image-size", &RunConfig::image_size, "pixels a side, in place of the preset's");
  options.add_flag("--grey", &RunConfig::grey, "one channel in place of three");
}

void add_training_options(ConfigOptions& options) {
  options.group("Training");
  options.add_with_default("--seed", &RunConfig::seed, "of weights, order, split and noise")
      ->check(whole_number());
  options.add_with_default("--epochs", &RunConfig::epochs, "at most; dcgan: no limit");
  options.add_with_default(
      "--steps", &RunConfig::steps,
      "at most, over all epochs of a training, cnn: of each fold (0: no limit); "
      "dcgan: 4000");
  options.add_with_default("--batch", &RunConfig::batch, "images a step");
  options.add_with_default("--lr", &RunConfig::lr, "learning rate; dcgan: 0.0002");
  options.add_with_default("--patience", &RunConfig::patience,
                           "stop after so many epochs without a better validation loss");
  options.add_with_default("--min-steps", &RunConfig::min_steps, "no early stop before");
  options.add_flag("--keep-last", &RunConfig::keep_last, "keep the last weights, not the best");
  options.add("--init", &RunConfig::init, "he | keras | dcgan, in place of the model's");
  options.add_with_default("--eps-placement", &RunConfig::eps_placement,
                           "keras | torch: where Adam and RMSprop add epsilon");
  options.add_with_default("--device", &RunConfig::device, "cpu | cuda");
  options.add_with_default("--precision", &RunConfig::precision,
                           "fp32 | fp32-strict; on cuda also tf32x3 | tf32 | bf16");
}

void add_model_options(ConfigOptions& options) {
  options.group("kd-cae");
  options.add_with_default("--kde-bandwidth", &RunConfig::kde_bandwidth,
                           "a number, scott, silverman, median or loo");
  options.group("kd-cae and ni-cae");
  options.add_with_default("--train-noise", &RunConfig::train_noise, "clean | noisy");
  options.add_with_default("--test-noise", &RunConfig::test_noise, "clean | noisy");
  options.add_flag("--denoise", &RunConfig::denoise,
                   "the target of a noisy image is the clean one");
  options.group("ni-cae");
  options.add_with_default("--score", &RunConfig::score, "ssim | mse");
  options.group("cnn");
  options.add_with_default("--folds", &RunConfig::folds, "parts of the cross-validation");
  options.add_flag("--class-weights", &RunConfig::class_weights,
                   "the rarer class weighs as much as the other");
  options.add_flag("--flips", &RunConfig::flips, "mirror half of the training images");
  options.add_with_default("--shifts", &RunConfig::shifts,
                           "move training images by up to so many pixels");
  options.group("dcgan");
  options.add_with_default("--k-steps", &RunConfig::k_steps,
                           "discriminator steps for each generator step");
  options.add_with_default("--sample-every", &RunConfig::sample_every,
                           "generator steps from one grid of pictures to the next");
}

/// Pictures of one's own need no --data, and --class is then only a name.
void complete(RunConfig& config) {
  if (!config.good.empty() || !config.bad.empty()) {
    ASSAY_CHECK_AS(UsageError, config.data.empty(), "--data: not with --good and --bad");
    config.data = "folder";
    if (config.object_class.empty()) config.object_class = "folder";
  }
  ASSAY_CHECK_AS(
      UsageError, !config.data.empty(),
      "--data: is missing; give builtin, a folder in MVTec's layout, or --good and --bad");
  ASSAY_CHECK_AS(UsageError, !config.object_class.empty(), "--class: is missing; there are: {}",
                 fmt::join(list_classes(config.data), ", "));
}

int train_verb(const TrainArguments& arguments, const ConfigOptions& options) {
  RunConfig config = default_config(arguments.model, arguments.preset);
  config.data = "";
  options.apply(config);
  complete(config);
  check(config);
  ASSAY_CHECK_AS(UsageError, !arguments.out.empty(), "--out: names no folder");
  ASSAY_CHECK_AS(UsageError, !(arguments.resume && arguments.force),
                 "--resume and --force: choose one");
  const RunContext context(arguments.threads, config.device, config.precision);
  stop_on_interrupt();
  const Start start = arguments.resume  ? Start::resume
                      : arguments.force ? Start::force
                                        : Start::fresh;
  const nlohmann::ordered_json metrics = [&] {
    Progress progress(config.model + " " + config.object_class);  // gone before results are printed
    return train_run(config, RunFolder(arguments.out), start, hooks_of(progress));
  }();
  std::printf("%s", find_model(config.model).summary(metrics).c_str());
  return 0;
}

}  // namespace

void add_train(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("train", "train a model on one class, then evaluate it");
  auto arguments = std::make_shared<TrainArguments>();
  auto options = std::make_shared<ConfigOptions>(*verb);
  verb->add_option("model", arguments->model, fmt::format("{}", fmt::join(model_names(), ", ")))
      ->required();
  add_preset_option(*verb, arguments->preset);
  verb->add_option("--out", arguments->out, "the run folder")->required();
  verb->add_flag("--resume", arguments->resume, "go on where the run in --out was broken off");
  verb->add_flag("--force", arguments->force, "throw the run in --out away");
  add_threads_option(*verb, arguments->threads);
  add_data_options(*options);
  add_training_options(*options);
  add_model_options(*options);
  verb->callback([=, &run] { run = [=] { return train_verb(*arguments, *options); }; });
}

}  // namespace assay
