// Comma-separated values (RFC 4180): history.csv, scores.csv, results.csv.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace assay {

/// One line with its newline; fields with a comma, a quote or a newline are quoted.
std::string csv_row(const std::vector<std::string>& fields);

/// The shortest text that reads back as the same double.
std::string csv_number(double value);
/// The inverse. Empty where the text is anything but one finite number.
std::optional<double> parse_number(const std::string& text);

/// A file whose first row names its columns.
struct CsvTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::string source = {};  ///< for messages

  /// CheckpointError if there is no such column.
  size_t column(const std::string& name) const;
  /// CheckpointError where a field is no finite number.
  std::vector<double> numbers(const std::string& name) const;
};
/// CheckpointError when the file cannot be read or a row has more or fewer fields than the first.
CsvTable read_csv(const std::filesystem::path& file);

}  // namespace assay
