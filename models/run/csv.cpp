#include "models/run/csv.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "kernels/runtime/error.h"

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

size_t CsvTable::column(const std::string& name) const {
  for (size_t i = 0; i < columns.size(); ++i)
    if (columns[i] == name) return i;
  throw Error(fmt::format("csv: there is no column '{}'", name));
}

std::vector<double> CsvTable::numbers(const std::string& name) const {
  const size_t i = column(name);
  std::vector<double> values;
  for (const auto& row : rows) values.push_back(std::strtod(row[i].c_str(), nullptr));
  return values;
}

CsvTable read_csv(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  ASSAY_CHECK(in.good(), "{}: cannot be read", file.string());
  std::vector<std::vector<std::string>> rows =
      parse({std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()});
  ASSAY_CHECK(!rows.empty(), "{}: is empty", file.string());
  CsvTable table{std::move(rows.front()), {}};
  for (size_t i = 1; i < rows.size(); ++i) {
    ASSAY_CHECK(rows[i].size() == table.columns.size(),
                "{}: row {} has {} fields but the first has {}", file.string(), i + 1,
                rows[i].size(), table.columns.size());
    table.rows.push_back(std::move(rows[i]));
  }
  return table;
}

}  // namespace assay
