// What predict says of images, one after another, in the form that was asked for.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/evaluation/scoring.h"

namespace assay {

enum class OutputForm { text, json, json_lines, csv };

/// Writes to the standard output. Names stand in JSON and CSV as list_name() has them and in text
/// as printable() has them (data/file.h).
class PredictionOutput {
 public:
  virtual ~PredictionOutput() = default;
  /// `heat_map` is empty where none was written.
  virtual void image(const ScoredImage& image, const std::filesystem::path& heat_map) = 0;
  /// A file that cannot be read: JSON has "error" in place of a score, CSV a row without numbers
  /// that is predicted "unreadable", text nothing.
  virtual void failure(const std::string& path, const std::string& reason) = 0;
  /// After the last image, also where there was none.
  virtual void end() {}
};

std::unique_ptr<PredictionOutput> make_output(OutputForm form, const Scoring& scoring);

}  // namespace assay
