// The program `assay`: reads the command line, runs a verb, turns an error into one line and its
// exit code.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>

#include "apps/assay/cli.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr int kExitFailure = 1, kExitUsage = 2, kExitData = 3, kExitCheckpoint = 4, kExitDevice = 5;

volatile std::sig_atomic_t interrupted = 0;

int fail(int code, std::string message) {
  for (char& c : message)
    if (c == '\n') c = ' ';
  std::fprintf(stderr, "assay: error: %s\n", message.c_str());
  return code;
}

/// The options of --config. `epochs = 3` without a section speaks of the verb given.
class VerbConfig : public CLI::ConfigTOML {
 public:
  explicit VerbConfig(const CLI::App& app) : app_(app) {}
  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    std::vector<CLI::ConfigItem> found = CLI::ConfigTOML::from_config(in);
    std::vector<std::string> given;
    const CLI::App* verb = deepest_verb(given);
    for (CLI::ConfigItem& item : found) {
      if (item.name == "++" || item.name == "--") continue;  // a section begins or ends
      if (item.parents.empty()) item.parents = given;
      check(item, given, *verb);
    }
    return found;
  }

 private:
  /// The verb of the command line, and its name word by word: data, make.
  const CLI::App* deepest_verb(std::vector<std::string>& words) const {
    const CLI::App* verb = &app_;
    while (!verb->get_subcommands().empty()) {
      verb = verb->get_subcommands().front();
      words.push_back(verb->get_name());
    }
    return verb;
  }

  /// CLI11 would read no value as 0, and name what it does not know by its own words.
  static void check(const CLI::ConfigItem& item, const std::vector<std::string>& given,
                    const CLI::App& verb) {
    if (item.parents != given) return;
    std::string name;
    for (const std::string& word : given) name += " " + word;
    if (verb.get_option_no_throw("--" + item.name) == nullptr || item.name == "config")
      throw CLI::ConfigError("--config: '" + item.name + "' is no option of assay" + name);
    const bool empty = item.inputs.empty() || (item.inputs.size() == 1 && item.inputs[0].empty());
    if (empty) throw CLI::ConfigError("--config: '" + item.name + "' has no value");
  }

  const CLI::App& app_;
};

int run_guarded(const Action& run) {
  try {
    return run();
  } catch (const UsageError& e) {
    return fail(kExitUsage, e.what());
  } catch (const DataError& e) {
    return fail(kExitData, e.what());
  } catch (const CheckpointError& e) {
    return fail(kExitCheckpoint, e.what());
  } catch (const DeviceError& e) {
    return fail(kExitDevice, e.what());
  } catch (const std::bad_alloc&) {
    return fail(kExitFailure, "the memory is too small; try a smaller --batch or --image-size");
  } catch (const std::filesystem::filesystem_error& e) {
    return fail(kExitFailure, e.path1().string() + ": " + e.code().message());
  } catch (const std::exception& e) {
    return fail(kExitFailure, e.what());
  }
}

/// A run started without one of its three streams would get its number for the next file it opens,
/// and print into a checkpoint. Opened the wrong way round, it fails when it is used.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) < 0 && errno == EBADF)
      open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/// What was printed has arrived, or the exit code says that it has not. A reader that left early,
/// as `| head` does, ends the program as it ends others: by the signal.
int flushed(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  const int reason = errno;
  if (reason == EPIPE) {
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
  return fail(kExitFailure,
              fmt::format("the standard output cannot be written: {}", std::strerror(reason)));
}

/// What is wrong with the command line, and which help explains it.
std::string usage_text(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  std::string verb = "assay";
  for (const CLI::App* sub = &app; !sub->get_subcommands().empty();) {
    sub = sub->get_subcommands().front();
    verb += " " + sub->get_name();
  }
  const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
  const bool unknown = argc > 1 && argv[1][0] != '-' &&
                       std::none_of(verbs.begin(), verbs.end(),
                                    [&](const auto* v) { return v->get_name() == argv[1]; });
  std::string text = error.what();
  if (unknown) {
    text = fmt::format("'{}' is no verb; there are:", argv[1]);
    for (const CLI::App* v : verbs) text += " " + v->get_name();
  }
  return text + "; see " + verb + " --help";
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Assay finds defects in pictures of products"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "assay " ASSAY_VERSION);
  app.fallthrough();
  app.set_config("--config", "", "read options from a TOML or INI file");
  app.config_formatter(std::make_shared<VerbConfig>(app));
  app.allow_config_extras(CLI::config_extras_mode::error);
  Action run;
  add_info(app, run);
  add_describe(app, run);
  add_data(app, run);
  add_train(app, run);
  add_evaluate(app, run);
  add_predict(app, run);
  add_generate(app, run);
  add_profile(app, run);
  add_suite(app, run);
  add_report(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    return fail(kExitUsage, usage_text(app, e, argc, argv));
  }
  return run_guarded(run);
}

}  // namespace

void stop_on_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = SA_RESETHAND;  // the second one takes the default: the program ends
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() {
  return interrupted != 0;
}

}  // namespace assay

int main(int argc, char** argv) {
  // A file that outgrows its limit is an error of write() with a message, not the program's death;
  // and no training ends because nobody reads its progress any more.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  assay::hold_standard_streams();
  return assay::flushed(assay::run_command_line(argc, argv));
}
