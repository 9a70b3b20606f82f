// assay suite
#include "apps/suite/suite.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdio>
#include <set>

#include "apps/assay/cli.h"
#include "apps/assay/progress.h"
#include "apps/report/report.h"
#include "apps/suite/results.h"
#include "apps/suite/step_profile.h"
#include "models/experiments/registry.h"
#include "models/experiments/run.h"

namespace assay {
namespace {

struct SuiteArguments {
  SuiteOptions options;
  std::string out, shard;
  std::vector<std::string> variants;
  bool list = false;
  int threads = 0;
};

void parse_shard(const std::string& text, SuiteOptions& options) {
  if (text.empty()) return;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, options.shard);
  const bool slash = first.ec == std::errc() && first.ptr != end && *first.ptr == '/';
  const auto second = slash ? std::from_chars(first.ptr + 1, end, options.shards) : first;
  ASSAY_CHECK_AS(UsageError, slash && second.ec == std::errc() && second.ptr == end,
                 "--shard: '{}' is not I/N", text);
}

int list_cells(const SuiteOptions& options) {
  for (const Cell& cell : cells_of(options)) {
    const RunFolder folder(options.out / cell.folder);
    const std::string other = mismatch(options, cell);
    const char* state = !other.empty()      ? "other"
                        : folder.finished() ? "finished"
                        : folder.empty()    ? "open"
                                            : "begun";
    std::printf("%-8s  %s%s%s\n", state, cell.command.c_str(),
                cell.in_this_shard ? "" : "  (another shard's)",
                other.empty() ? "" : ("  (the run there has " + other + ")").c_str());
  }
  return 0;
}

/// Prints the table of all runs in the folder, and notes on collapsed or unfinished ones.
void print_findings(const std::vector<RunResult>& runs, const SuiteOptions& options) {
  std::printf("%s", table_of(runs).c_str());
  for (const RunResult& run : runs)
    if (const std::string words = collapse_text(run); !words.empty())
      std::printf("note: %s\n", words.c_str());
  int open = 0;
  for (const Cell& cell : cells_of(options))
    open += !cell.in_this_shard && !RunFolder(options.out / cell.folder).finished();
  if (open > 0) std::printf("note: %d runs of other shards are not finished\n", open);
}

/// Writes profile.json for the report: three steps of each preset of the suite, on this machine.
/// The first shard does it, once.
void profile_machine(const SuiteOptions& options) {
  const std::filesystem::path file = options.out / "profile.json";
  if (options.shard != 1 || std::filesystem::exists(file) ||
      !std::filesystem::is_directory(options.out))
    return;
  constexpr int kSteps = 3;
  MachineProfile profile{machine_text(), measure_peaks(current_context()), {}};
  std::set<std::string> done;
  for (const Cell& cell : cells_of(options))
    if (find_model(cell.config.model).make_step && done.insert(cell.config.preset).second)
      profile.steps.push_back(profile_step(cell.config, kSteps));
  if (!profile.steps.empty()) write_profile(file, profile);
}

int suite_verb(SuiteArguments arguments) {
  SuiteOptions& options = arguments.options;
  ASSAY_CHECK_AS(UsageError, !arguments.out.empty(), "--out: names no folder");
  options.out = arguments.out;
  parse_shard(arguments.shard, options);
  if (arguments.variants == std::vector<std::string>{"none"})
    options.variants.emplace();
  else if (!arguments.variants.empty())
    options.variants = arguments.variants;
  if (arguments.list) return list_cells(options);
  const RunContext context(arguments.threads, "cpu", options.precision);
  stop_on_interrupt();
  std::unique_ptr<Progress> progress;
  const std::vector<FailedCell> failed =
      run_suite(options, [&](const Cell& cell, const SuitePosition& position) {
        progress = std::make_unique<Progress>(
            fmt::format("[{}/{}] {}", position.number, position.of, cell.folder.string()));
        return hooks_of(*progress);
      });
  progress.reset();
  profile_machine(options);
  const std::vector<RunResult> runs = finished_runs(options.out);
  if (!runs.empty()) {
    print_findings(runs, options);
    std::printf("report: %s\n", write_report(options.out).c_str());
  }
  std::string reasons;
  for (const FailedCell& cell : failed)
    reasons +=
        fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", cell.folder.string(), cell.reason);
  ASSAY_CHECK(failed.empty(), "{} of the suite's runs failed: {}", failed.size(), reasons);
  return 0;
}

}  // namespace

void add_suite(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("suite", "train and evaluate over classes, models and seeds");
  auto arguments = std::make_shared<SuiteArguments>();
  SuiteOptions& options = arguments->options;
  verb->add_option("--data", options.data, "builtin, or a folder in MVTec's layout")->required();
  verb->add_option("--out", arguments->out,
                   "the suite's folder; a finished run in it is not repeated")
      ->required();
  verb->add_option("--classes", options.classes,
                   "comma-separated; those of the profile unless given")
      ->delimiter(',');
  verb->add_option("--models", options.models, "comma-separated; those of the profile unless given")
      ->delimiter(',');
  verb->add_option("--variants", arguments->variants,
                   "comma-separated, or none: runs with other options, as untrained; those of the "
                   "profile unless --models is given")
      ->delimiter(',');
  verb->add_option("--noise", options.noise,
                   "noise of the autoencoders: training/test, each clean or noisy, for example "
                   "clean/clean,noisy/noisy")
      ->delimiter(',');
  verb->add_option("--profile", options.profile,
                   "quick: minutes on built-in data | paper: the sizes and seeds of the study")
      ->capture_default_str();
  verb->add_option("--steps", options.steps, "maximum steps of each run, instead of the profile's");
  verb->add_option("--image-size", options.image_size,
                   "side of the input in pixels, instead of the model's");
  verb->add_option("--precision", options.precision,
                   "of all runs: fp32 | fp32-strict | bf16 (on a CPU with AMX)")
      ->capture_default_str();
  verb->add_option("--seeds", options.seeds, "runs of each class and model");
  verb->add_option(
      "--shard", arguments->shard,
      "I/N: only every N-th run, from the I-th; shards may run at the same time and on "
      "several machines that share --out");
  verb->add_flag("--list", arguments->list, "list the runs and their state, and stop");
  add_threads_option(*verb, arguments->threads);
  verb->callback([=, &run] { run = [=] { return suite_verb(*arguments); }; });
}

}  // namespace assay
