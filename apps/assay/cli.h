// The verbs of the command line, one file each, and what they share. add_x() declares a verb and
// its options; if the command line names the verb, parsing stores its action in `run`. The action
// returns the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/runtime/context.h"
#include "kernels/runtime/transfer.h"
#include "models/evaluation/threshold.h"
#include "models/run/config.h"

namespace assay {

inline constexpr int kExitUnread = 3, kExitAnomaly = 10;

using Action = std::function<int()>;

void add_info(CLI::App& app, Action& run);
void add_describe(CLI::App& app, Action& run);
void add_data(CLI::App& app, Action& run);
void add_train(CLI::App& app, Action& run);
void add_evaluate(CLI::App& app, Action& run);
void add_predict(CLI::App& app, Action& run);
void add_export(CLI::App& app, Action& run);
void add_generate(CLI::App& app, Action& run);
void add_profile(CLI::App& app, Action& run);
void add_suite(CLI::App& app, Action& run);
void add_report(CLI::App& app, Action& run);

/// Adds the options of all models to a verb. The result, called after parsing, sets the given ones
/// (on the command line or in --config) in a RunConfig; check() then refuses those of other models.
std::function<void(RunConfig&)> add_run_options(CLI::App& verb);

/// Adds --k, --threshold and --target-fpr. The result, called after parsing with the configuration
/// of a run, returns the given rule; UsageError as for the options of a training.
std::function<std::optional<ThresholdRule>(const RunConfig&)> add_threshold_options(CLI::App& verb);

/// Rejects values outside uint64, such as -1, which CLI11 would wrap around.
CLI::Validator whole_number();

/// Adds --preset NAME to a verb whose first argument is the model.
void add_preset_option(CLI::App& verb, std::string& preset);

/// UsageError if the output file exists. Called unless --force is given.
void check_is_new(const std::filesystem::path& file);

/// Adds --threads N; 0 means all threads that the process may use.
void add_threads_option(CLI::App& verb, int& threads);
/// --precision of a verb that judges with a trained model; empty: the run's.
void add_precision_option(CLI::App& verb, std::string& precision);
/// The number of threads that the option means. UsageError for a bad one.
int checked_threads(int threads);

/// The context of a run, current until the end of the scope. DeviceError for a device that this
/// build or machine lacks; UsageError for a bad number of threads or an unsupported precision.
class RunContext {
 public:
  RunContext(int threads, const std::string& device, const std::string& precision);

 private:
  std::unique_ptr<OwnedContext> context_;
  ContextScope scope_;
};

/// After this call the first Ctrl-C makes stop_requested() true; the second ends the program.
void stop_on_interrupt();
bool stop_requested();

}  // namespace assay
