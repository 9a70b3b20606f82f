// The report: one HTML file that needs nothing else, from the run folders of a suite.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace assay {

/// One run of a suite and the command that makes it again.
struct ReportCell {
  std::filesystem::path folder;
  std::string command;
};

/// The finished runs under `root`: the cells of its results.json, or else the folders in it (or
/// itself) that hold a metrics.json, by name.
std::vector<ReportCell> finished_cells(const std::filesystem::path& root);

/// Writes root/report/index.html and returns its path. DataError when there is no finished run.
std::filesystem::path write_report(const std::filesystem::path& root);

}  // namespace assay
