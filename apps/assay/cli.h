// The verbs of the command line: one file each. A verb adds its options, and when it was chosen
// leaves what is to be done in `run`, whose result is the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/runtime/context.h"
#include "kernels/runtime/transfer.h"
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
void add_generate(CLI::App& app, Action& run);
void add_profile(CLI::App& app, Action& run);
void add_suite(CLI::App& app, Action& run);
void add_report(CLI::App& app, Action& run);

/// The options of the command line that set a RunConfig. Only those given there (or in --config)
/// replace the defaults of the model and preset.
class ConfigOptions {
 public:
  explicit ConfigOptions(CLI::App& verb) : verb_(verb) {}

  /// The heading, in the help, of the options that follow.
  void group(const std::string& heading) { heading_ = heading; }

  template <class T>
  CLI::Option* add(const std::string& name, T RunConfig::*member, const std::string& help) {
    auto value = std::make_shared<T>();
    CLI::Option* option = verb_.add_option(name, *value, help)->group(heading_);
    remember(option, value, member);
    return option;
  }
  /// The help says what the option is where nobody sets it.
  template <class T>
  CLI::Option* add_with_default(const std::string& name, T RunConfig::*member,
                                const std::string& help) {
    std::ostringstream text;
    text << RunConfig().*member;
    return add(name, member, help)->default_str(text.str());
  }
  void add_flag(const std::string& name, bool RunConfig::*member, const std::string& help) {
    auto value = std::make_shared<bool>();
    remember(verb_.add_flag(name, *value, help)->group(heading_), value, member);
  }
  void apply(RunConfig& config) const {
    for (const auto& set : setters_) set(config);
  }

 private:
  template <class T>
  void remember(CLI::Option* option, std::shared_ptr<T> value, T RunConfig::*member) {
    setters_.push_back([option, value, member](RunConfig& config) {
      if (option->count() > 0) config.*member = *value;
    });
  }

  CLI::App& verb_;
  std::string heading_ = "Options";
  std::vector<std::function<void(RunConfig&)>> setters_;
};

/// Refuses "-1" and 2^64 for an option that is a whole number without a sign: the parser would
/// wrap the one around and the other down.
CLI::Validator whole_number();

/// --preset NAME of a verb whose first argument is the model.
void add_preset_option(CLI::App& verb, std::string& preset);

/// UsageError for a file to be written that is there already and that no --force gives up.
void check_is_new(const std::filesystem::path& file);

/// --threads N; 0 = all that the process may use.
void add_threads_option(CLI::App& verb, int& threads);

/// The context of a run. DeviceError for a device that this build or machine lacks, UsageError for
/// less than one thread or a precision that the device does not have.
class RunContext {
 public:
  RunContext(int threads, const std::string& device, const std::string& precision);

 private:
  std::unique_ptr<OwnedContext> context_;
  ContextScope scope_;
};

/// Ctrl-C asks the run to stop after the present step; a second one ends the program at once.
void stop_on_interrupt();
bool stop_requested();

}  // namespace assay
