// The report: one self-contained HTML file from the run folders of a suite.
#pragma once

#include <filesystem>

namespace assay {

/// Writes root/report/index.html and returns its path. DataError if there is no finished run,
/// Error if root/report is a symbolic link.
std::filesystem::path write_report(const std::filesystem::path& root);

}  // namespace assay
