// assay report DIR
#include "apps/report/report.h"

#include <cstdio>

#include "apps/assay/cli.h"
#include "apps/suite/results.h"

namespace assay {

void add_report(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("report", "build the HTML report of a suite's folder");
  auto folder = std::make_shared<std::string>();
  verb->add_option("folder", *folder, "of a suite, or one run")->required();
  verb->callback([=, &run] {
    run = [=] {
      std::filesystem::path root = std::filesystem::path(*folder).lexically_normal();
      if (!root.has_filename()) root = root.parent_path();  // "out/suite/"
      // Runs of other shards may have been copied into the folder since results.json was written.
      if (!RunFolder(root).finished() && !finished_runs(root).empty()) write_results(root);
      std::printf("%s\n", write_report(root).c_str());
      return 0;
    };
  });
}

}  // namespace assay
