#include "models/run/csv.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "kernels/runtime/error.h"
#include "models/run/reader.h"

namespace assay {
namespace {

std::vector<std::vector<std::string>> parse(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field += '"';
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',' || c == '\n') {
      row.push_back(std::move(field));
      field.clear();
      if (c == '\n') rows.push_back(std::exchange(row, {}));
    } else if (c != '\r') {
      field += c;
    }
  }
  if (!field.empty() || !row.empty()) {
    row.push_back(std::move(field));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::string csv_row(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    if (fields[i].find_first_of(",\"\r\n") == std::string::npos) {
      line += fields[i];
      continue;
    }
    line += '"';
    for (const char c : fields[i]) line += c == '"' ? "\"\"" : std::string(1, c);
    line += '"';
  }
  return line + '\n';
}

std::string csv_number(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::optional<double> parse_number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

size_t CsvTable::column(const std::string& name) const {
  for (size_t i = 0; i < columns.size(); ++i)
    if (columns[i] == name) return i;
  throw CheckpointError(fmt::format("{}: there is no column '{}'", source, name));
}

std::vector<double> CsvTable::numbers(const std::string& name) const {
  const size_t i = column(name);
  std::vector<double> values;
  for (size_t row = 0; row < rows.size(); ++row) {
    const std::optional<double> value = parse_number(rows[row][i]);
    ASSAY_CHECK_AS(CheckpointError, value, "{}: row {} has '{:.40}' for '{}', which is no number",
                   source, row + 2, rows[row][i], name);
    values.push_back(*value);
  }
  return values;
}

CsvTable read_csv(const std::filesystem::path& file) {
  std::vector<std::vector<std::string>> rows = parse(read_run_file(file));
  ASSAY_CHECK_AS(CheckpointError, !rows.empty(), "{}: is empty", file.string());
  CsvTable table{std::move(rows.front()), {}, file.string()};
  for (size_t i = 1; i < rows.size(); ++i) {
    ASSAY_CHECK_AS(CheckpointError, rows[i].size() == table.columns.size(),
                   "{}: row {} has {} fields but the first has {}", file.string(), i + 1,
                   rows[i].size(), table.columns.size());
    table.rows.push_back(std::move(rows[i]));
  }
  return table;
}

}  // namespace assay
