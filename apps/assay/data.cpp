// assay data make | check
#include <cstdio>
#include <filesystem>

#include "apps/assay/cli.h"
#include "data/builtin.h"
#include "data/check.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

struct MakeArguments {
  std::string out;
  int size = kBuiltinSize;
  uint64_t seed = 0;
};

int make_verb(const MakeArguments& arguments) {
  ASSAY_CHECK_AS(UsageError, !arguments.out.empty(), "--out: names no folder");
  write_builtin(arguments.out, arguments.size, arguments.seed);
  std::printf("wrote the classes");
  for (const std::string& name : builtin_classes()) std::printf(" %s", name.c_str());
  std::printf(" to %s\n", arguments.out.c_str());
  return 0;
}

std::string to_text(const ClassCounts& counts) {
  return fmt::format("{}/{}/{}", counts.train_good, counts.test_good, counts.test_defective);
}

int check_verb(const std::string& folder) {
  ASSAY_CHECK_AS(
      UsageError, folder != "builtin" || std::filesystem::exists(folder),
      "builtin: is drawn by the program and has no files to check; assay data make writes them");
  size_t problems = 0;
  std::printf("%-16s %-28s %7s  %s\n", "class", "train good/test good/defective", "masks", "sizes");
  for (const ClassReport& report : check_data(current_context(), folder)) {
    std::printf("%-16s %-30s %7d  %s\n", report.name.c_str(), to_text(report.counts).c_str(),
                report.masks, report.sizes.c_str());
    const ClassCounts* official = official_counts(report.name);
    if (official != nullptr && *official != report.counts)
      std::printf("  note: MVTec AD has %s\n", to_text(*official).c_str());
    for (const std::string& note : report.notes) std::printf("  note: %s\n", note.c_str());
    for (const std::string& problem : report.problems)
      std::printf("  problem: %s\n", problem.c_str());
    std::printf("  files: %s\n", report.files.sentence().c_str());
    problems += report.problems.size();
  }
  ASSAY_CHECK_AS(DataError, problems == 0, "{}: {}{}", folder, problems,
                 problems == 1 ? " problem, listed above" : " problems, listed above");
  return 0;
}

}  // namespace

void add_data(CLI::App& app, Action& run) {
  CLI::App* data = app.add_subcommand("data", "make or check a data set");
  data->require_subcommand(1);
  CLI::App* make = data->add_subcommand("make", "write the built-in data set in MVTec's layout");
  auto arguments = std::make_shared<MakeArguments>();
  make->add_option("--out", arguments->out, "a folder")->required();
  make->add_option("--size", arguments->size, "pixels a side")->capture_default_str();
  make->add_option("--seed", arguments->seed, "seed of the images")
      ->check(whole_number())
      ->capture_default_str();
  make->callback([=, &run] { run = [=] { return make_verb(*arguments); }; });

  CLI::App* check = data->add_subcommand("check", "list all problems of a data set");
  auto folder = std::make_shared<std::string>();
  check->add_option("folder", *folder, "in MVTec's layout")->required();
  check->callback([=, &run] { run = [=] { return check_verb(*folder); }; });
}

}  // namespace assay
