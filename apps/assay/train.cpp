// assay train MODEL
#include <fmt/format.h>

#include <cstdio>

#include "apps/assay/cli.h"
#include "apps/assay/progress.h"
#include "data/dataset.h"
#include "kernels/runtime/error.h"
#include "models/evaluation/scoring.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/experiments/run.h"

namespace assay {
namespace {

struct TrainArguments {
  std::string model, preset, out;
  bool resume = false, force = false;
  int threads = 0;
};

/// Sets --data and --class if --good and --bad are given; --class is then only a name.
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

int train_verb(const TrainArguments& arguments,
               const std::function<void(RunConfig&)>& apply_options) {
  RunConfig config = default_config(arguments.model, arguments.preset);
  apply_options(config);
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
  const RunMetrics metrics = [&] {
    Progress progress(config.model + " " +
                      config.object_class);  // destroyed before results are printed
    return train_run(config, RunFolder(arguments.out), start, hooks_of(progress));
  }();
  std::printf("%s", summary_of(metrics).c_str());
  return 0;
}

}  // namespace

void add_train(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("train", "train a model on one class, then evaluate it");
  auto arguments = std::make_shared<TrainArguments>();
  verb->add_option("model", arguments->model, fmt::format("{}", fmt::join(model_names(), ", ")))
      ->required();
  add_preset_option(*verb, arguments->preset);
  verb->add_option("--out", arguments->out, "the run folder")->required();
  verb->add_flag("--resume", arguments->resume, "continue the interrupted run in --out");
  verb->add_flag("--force", arguments->force, "delete the run in --out");
  add_threads_option(*verb, arguments->threads);
  const auto apply_options = add_run_options(*verb);
  verb->callback([=, &run] { run = [=] { return train_verb(*arguments, apply_options); }; });
}

}  // namespace assay
