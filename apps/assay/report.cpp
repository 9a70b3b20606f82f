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
      // Shards that ran elsewhere may have come into the folder since.
      if (!RunFolder(*folder).finished() && !finished_runs(*folder).empty()) write_results(*folder);
      std::printf("%s\n", write_report(*folder).c_str());
      return 0;
    };
  });
}

}  // namespace assay
