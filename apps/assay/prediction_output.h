// Output of `assay predict`, image by image, as text, JSON or CSV.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/evaluation/scoring.h"

namespace assay {

enum class OutputForm { text, json, json_lines, csv };

/// Writes to the standard output. Names are list_name() in JSON and CSV and printable() in text
/// (data/file.h).
class PredictionOutput {
 public:
  virtual ~PredictionOutput() = default;
  /// `heat_map` is empty if none was written.
  virtual void image(const ScoredImage& image, const std::filesystem::path& heat_map) = 0;
  /// A file that cannot be read: JSON gets "error" instead of a score, CSV a row without numbers
  /// and the prediction "unreadable", text nothing.
  virtual void failure(const std::string& path, const std::string& reason) = 0;
  /// Called after the last image, even if there was none.
  virtual void end() {}
};

std::unique_ptr<PredictionOutput> make_output(OutputForm form, const Scoring& scoring);

}  // namespace assay
