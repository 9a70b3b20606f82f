// The program `assay`: reads the command line, runs a verb, turns an error into one line and its
// exit code.
#include <csignal>
#include <cstdio>

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

/// Lets a file of options say `epochs = 3` without a section: it then speaks of the verb given.
class VerbConfig : public CLI::ConfigTOML {
 public:
  explicit VerbConfig(const CLI::App& app) : app_(app) {}
  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    std::vector<CLI::ConfigItem> found = CLI::ConfigTOML::from_config(in);
    for (CLI::ConfigItem& item : found)
      if (item.parents.empty())
        for (const CLI::App* verb : app_.get_subcommands()) item.parents = {verb->get_name()};
    return found;
  }

 private:
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
  } catch (const std::exception& e) {
    return fail(kExitFailure, e.what());
  }
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Assay finds defects in pictures of products"};
  app.require_subcommand(1);
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
    return fail(kExitUsage, str(e.what(), "; see assay --help"));
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
  // A file that outgrows its limit is an error of write() with a message, not the program's death.
  std::signal(SIGXFSZ, SIG_IGN);
  return assay::run_command_line(argc, argv);
}
