// assay evaluate RUN
#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "apps/assay/cli.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/experiments/run.h"

namespace assay {
namespace {

struct EvaluateArguments {
  std::string run;
  std::optional<std::string> data, good, bad, masks, test_noise;
  std::string precision;
  bool noise_sweep = false;
  int threads = 0;
};

/// A line for each variance, a column for each share of noisy images: AUROC, F1.
std::string table_of(const std::vector<NoisePoint>& points) {
  if (points.empty()) return "noise sweep: the test images are all of one kind\n";
  std::string header = "noise sweep: image AUROC and F1 by share of noisy test images\n  variance",
              lines;
  for (size_t i = 0; i < points.size(); ++i) {
    const NoisePoint& p = points[i];
    if (i == 0 || points[i - 1].variance != p.variance)
      lines += fmt::format("\n  {:<8g}", p.variance);
    if (p.variance == points.front().variance)
      header += fmt::format("  {:>11}", fmt::format("{:g} %", 100 * p.share));
    lines += fmt::format("  {:.3f} {:.3f}", p.image_auroc.mean, p.f1.mean);
  }
  return header + lines + "\n";
}

using GivenThreshold = std::function<std::optional<ThresholdRule>(const RunConfig&)>;

int evaluate_verb(const EvaluateArguments& arguments, const GivenThreshold& given_threshold) {
  const RunFolder folder(arguments.run);
  const RunConfig config = load_config(folder.config());
  EvaluationOptions options;
  if (!arguments.precision.empty()) options.precision = arguments.precision;
  const RunContext context(arguments.threads, config.device,
                           options.precision.value_or(config.precision));
  options.data = arguments.data;
  options.good = arguments.good;
  options.bad = arguments.bad;
  options.masks = arguments.masks;
  options.test_noise = arguments.test_noise;
  options.threshold = given_threshold(config);
  ASSAY_CHECK_AS(UsageError, options.data != "", "--data: names no folder");
  ASSAY_CHECK_AS(UsageError, !options.data || !(options.good || options.bad || options.masks),
                 "--data: not with --good, --bad and --masks");
  std::printf("%s", summary_of(evaluate_run(folder, options)).c_str());
  if (arguments.noise_sweep) std::printf("%s", table_of(sweep_run(folder, options)).c_str());
  return 0;
}

}  // namespace

void add_evaluate(CLI::App& app, Action& run) {
  CLI::App* verb =
      app.add_subcommand("evaluate", "score the test images again, rewrite the metrics");
  auto arguments = std::make_shared<EvaluateArguments>();
  verb->add_option("run", arguments->run, "a run folder")->required();
  verb->add_option("--data", arguments->data, "another folder with the same class");
  verb->add_option("--good", arguments->good, "where the run's --good is now");
  verb->add_option("--bad", arguments->bad, "where the run's --bad is now");
  verb->add_option("--masks", arguments->masks, "where the run's --masks is now");
  verb->add_option("--test-noise", arguments->test_noise, "clean | noisy");
  verb->add_flag("--noise-sweep", arguments->noise_sweep,
                 "score them with noise of several variances, too, on none to all of them; writes "
                 "noise_sweep.csv");
  add_precision_option(*verb, arguments->precision);
  add_threads_option(*verb, arguments->threads);
  const auto given_threshold = add_threshold_options(*verb);
  verb->footer("A threshold that is given here is kept with the run: predict takes it, too.");
  verb->callback([=, &run] { run = [=] { return evaluate_verb(*arguments, given_threshold); }; });
}

}  // namespace assay
