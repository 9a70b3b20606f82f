#include "apps/assay/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <new>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "apps/assay/cli.h"
#include "data/file.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

constexpr int kExitFailure = 1, kExitUsage = 2, kExitData = 3, kExitCheckpoint = 4, kExitDevice = 5;

// Written by the signal handler and read by every thread, so without a lock.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

int fail(int code, std::string message) {
  for (char& c : message)
    if (c == '\n') c = ' ';
  std::fprintf(stderr, "assay: error: %s\n", printable(message).c_str());
  return code;
}

/// Parser of the --config file. An entry without a section belongs to the verb of the command line.
class VerbConfig : public CLI::ConfigTOML {
 public:
  explicit VerbConfig(const CLI::App& app) : app_(app) {}
  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
    check_lines(text);
    std::istringstream cleaned(text);
    std::vector<CLI::ConfigItem> found = CLI::ConfigTOML::from_config(cleaned);
    const std::vector<std::string> given = verb_of_command_line();
    std::set<std::vector<std::string>> names;
    for (CLI::ConfigItem& item : found) {
      if (item.name == "--") continue;  // a section ends
      if (item.parents.empty()) item.parents = given;
      const CLI::App& verb = verb_of(item.parents);
      if (item.name == "++") continue;  // a section begins
      check(item, verb);
      std::vector<std::string> name = item.parents;
      name.push_back(item.name);
      if (!names.insert(std::move(name)).second) refuse("'" + item.name + "' is given twice");
    }
    return found;
  }

 private:
  [[noreturn]] static void refuse(const std::string& why) {
    throw CLI::ConfigError("--config: " + why);
  }

  static std::vector<std::string> verbs_of(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(verb->get_name());
    return names;
  }

  /// "data", "make" for `assay data make`.
  std::vector<std::string> verb_of_command_line() const {
    std::vector<std::string> words;
    for (const CLI::App* verb = &app_; !verb->get_subcommands().empty();) {
      verb = verb->get_subcommands().front();
      words.push_back(verb->get_name());
    }
    return words;
  }

  const CLI::App& verb_of(const std::vector<std::string>& section) const {
    const CLI::App* verb = &app_;
    for (const std::string& word : section) {
      const std::vector<std::string> known = verbs_of(*verb);
      if (std::find(known.begin(), known.end(), word) == known.end())
        refuse(fmt::format("[{}]: there is no verb '{}'; there are: {}", fmt::join(section, "."),
                           word, fmt::join(verbs_of(app_), ", ")));
      verb = verb->get_subcommand(word);
    }
    return *verb;
  }

  /// Rejects input that CLI11 ignores or truncates.
  static void check_lines(const std::string& text) {
    if (text.find('\0') != std::string::npos) refuse("the file is no text");
    std::istringstream lines(text);
    int number = 1;
    for (std::string line; std::getline(lines, line); ++number) {
      std::erase_if(line, [](unsigned char c) { return std::isspace(c) != 0; });
      const std::string_view name = std::string_view(line).substr(0, line.find('='));
      if (line.starts_with('=') || (name != line && (name == "\"\"" || name == "''")))
        refuse(fmt::format("line {} has no name before its '='", number));
      if (line == "[]") refuse(fmt::format("line {}: the section has no name", number));
    }
  }

  /// Rejects empty values, which CLI11 reads as 0, and unknown names.
  static void check(const CLI::ConfigItem& item, const CLI::App& verb) {
    std::string words;
    for (const std::string& word : item.parents) words += " " + word;
    const CLI::Option* option = verb.get_option_no_throw("--" + item.name);
    if (option == nullptr || item.name == "config")
      refuse("'" + item.name + "' is no option of assay" + words);
    const auto max_values = static_cast<size_t>(std::max(1, option->get_items_expected_max()));
    if (item.inputs.size() > max_values)
      refuse(fmt::format("'{}' has {} values ({}); give it once, with one value", item.name,
                         item.inputs.size(), fmt::join(item.inputs, ", ")));
    if (item.inputs.empty() || (item.inputs.size() == 1 && item.inputs[0].empty()))
      refuse("'" + item.name + "' has no value");
  }

  const CLI::App& app_;
};

int answer_errors(const Action& run) {
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
    throw;
  } catch (const std::length_error&) {
    return fail(kExitFailure, "a size is beyond what memory can hold; try a smaller --batch");
  } catch (const std::filesystem::filesystem_error& e) {
    return fail(kExitFailure, e.path1().string() + ": " + e.code().message());
  } catch (const std::system_error& e) {
    return fail(kExitFailure, fmt::format("the system refuses: {}", e.code().message()));
  } catch (const std::exception& e) {
    return fail(kExitFailure, e.what());
  }
}

/// Exit code of `run`. Composing the message of an error may run out of memory, too; that answer
/// allocates nothing.
int run_guarded(const Action& run) {
  try {
    return answer_errors(run);
  } catch (const std::bad_alloc&) {
    std::fputs("assay: error: the memory is too small; try a smaller --batch or --image-size\n",
               stderr);
    return kExitFailure;
  }
}

std::atomic<void*> memory_reserve{nullptr};

/// Holds 1 MiB back, which is freed when the system first refuses memory. Some code of libraries
/// allocates where no exception may leave it (nlohmann's destructors, libstdc++'s directory
/// iterators) and finds that memory; the next larger block is refused and ends the verb.
void hold_memory_reserve() {
  constexpr size_t kReserve = 1 << 20;
  std::free(memory_reserve.exchange(std::malloc(kReserve)));  // of a run before
  std::set_new_handler([] {
    void* reserve = memory_reserve.exchange(nullptr);
    if (reserve == nullptr) throw std::bad_alloc();
    std::free(reserve);
  });
}

/// Opens /dev/null for each standard stream that is closed: otherwise the next file opened, perhaps
/// a checkpoint, would get its number. It is opened in the opposite mode, so that reading or
/// writing it fails.
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
    text = fmt::format("unknown command '{}'; there are:", argv[1]);
    for (const CLI::App* v : verbs) text += " " + v->get_name();
  }
  std::error_code ignored;
  for (int i = 1; i < argc; ++i)
    if (argv[i][0] == '-' && argv[i][1] != 0 && std::filesystem::exists(argv[i], ignored))
      text += fmt::format("; '{}' is a file: -- goes before names that begin with a dash", argv[i]);
  return text + "; see " + verb + " --help";
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Assay finds defects in images of manufactured objects"};
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
  add_export(app, run);
  add_profile(app, run);
  add_suite(app, run);
  add_report(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    return fail(kExitUsage, usage_text(app, e, argc, argv));
  }
  return run();
}

}  // namespace

void stop_on_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = SA_RESETHAND;  // the second signal has its default action and ends the program
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() {
  return interrupted;
}

int run_program(int argc, char** argv) {
  // With SIGXFSZ ignored, exceeding the limit of a file's size is an error of write(). With SIGPIPE
  // ignored, a training continues when the reader of its progress has closed the pipe.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  hold_standard_streams();
  hold_memory_reserve();
  return flushed(run_guarded([&] { return run_command_line(argc, argv); }));
}

}  // namespace assay
