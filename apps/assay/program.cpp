#include "apps/assay/program.h"

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
#include "data/file.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr int kExitFailure = 1, kExitUsage = 2, kExitData = 3, kExitCheckpoint = 4, kExitDevice = 5;

volatile std::sig_atomic_t interrupted = 0;

int fail(int code, std::string message) {
  for (char& c : message)
    if (c == '\n') c = ' ';
  std::fprintf(stderr, "assay: error: %s\n", printable(message).c_str());
  return code;
}

/// Reads the file of --config. An entry without a section belongs to the verb of the command line.
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
  /// The verb of the command line; its name goes into `words`: data, make.
  const CLI::App* deepest_verb(std::vector<std::string>& words) const {
    const CLI::App* verb = &app_;
    while (!verb->get_subcommands().empty()) {
      verb = verb->get_subcommands().front();
      words.push_back(verb->get_name());
    }
    return verb;
  }

  /// Rejects empty values, which CLI11 reads as 0, and unknown names, with a message of our own.
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

/// Opens /dev/null for each standard stream that is closed: otherwise the next file opened, perhaps
/// a checkpoint, would get its number. The access mode is the wrong one, so that using it fails.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) < 0 && errno == EBADF)
      open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/// Flushes stdout and returns `code`, or kExitFailure if the output could not be written. A closed
/// pipe (`| head`) ends the program by SIGPIPE, as it ends other programs.
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

/// The error of the command line and the --help that explains it.
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
  std::error_code ignored;
  for (int i = 1; i < argc; ++i)
    if (argv[i][0] == '-' && argv[i][1] != 0 && std::filesystem::exists(argv[i], ignored))
      text += fmt::format("; '{}' is a file: -- goes before names that begin with a dash", argv[i]);
  return text + "; see " + verb + " --help";
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Assay finds defects in images of products"};
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

int run_program(int argc, char** argv) {
  // With SIGXFSZ ignored, exceeding the limit of a file's size is an error of write(). With SIGPIPE
  // ignored, a training continues when the reader of its progress has closed the pipe.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  hold_standard_streams();
  return flushed(run_command_line(argc, argv));
}

}  // namespace assay
