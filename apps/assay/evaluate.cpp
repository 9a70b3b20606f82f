// assay evaluate RUN
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
  int threads = 0;
};

using GivenThreshold = std::function<std::optional<ThresholdRule>(const RunConfig&)>;

int evaluate_verb(const EvaluateArguments& arguments, const GivenThreshold& given_threshold) {
  const RunFolder folder(arguments.run);
  const RunConfig config = load_config(folder.config());
  const RunContext context(arguments.threads, config.device, config.precision);
  EvaluationOptions options;
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
  add_threads_option(*verb, arguments->threads);
  const auto given_threshold = add_threshold_options(*verb);
  verb->footer("A threshold that is given here is kept with the run: predict takes it, too.");
  verb->callback([=, &run] { run = [=] { return evaluate_verb(*arguments, given_threshold); }; });
}

}  // namespace assay
