#include "models/run/history.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/runtime/atomic_file.h"
#include "kernels/runtime/error.h"
#include "models/run/csv.h"
#include "models/run/reader.h"

namespace assay {
namespace {

CheckpointError damaged(const std::string& source, const std::string& why) {
  return CheckpointError(fmt::format(
      "{}: is damaged ({}); remove it to go on without the losses of past epochs", source, why));
}

constexpr double kMaxCount = std::numeric_limits<int>::max();

/// Counts are written as integers: csv_number() would write 100000 as 1e+05.
bool is_count(const std::string& column) {
  return column == "epoch" || column == "step";
}

}  // namespace

History::History(std::vector<std::string> columns)
    : columns_(std::move(columns)), source_("history.csv") {}

History History::read(const std::filesystem::path& file) {
  History history;
  if (!is_there(file)) return history;
  history.source_ = file.string();
  try {
    const CsvTable table = read_csv(file);
    history.columns_ = table.columns;
    std::vector<std::vector<double>> columns;
    for (const std::string& name : table.columns) {
      columns.push_back(table.numbers(name));
      for (const double value : columns.back())
        ASSAY_CHECK_AS(
            CheckpointError,
            !is_count(name) || (value >= 0 && value <= kMaxCount && value == std::floor(value)),
            "{} {} is no count", name, value);
    }
    for (size_t i = 0; i < table.rows.size(); ++i) {
      std::vector<double>& row = history.rows_.emplace_back();
      for (const std::vector<double>& column : columns) row.push_back(column[i]);
    }
  } catch (const CheckpointError& error) {
    throw damaged(history.source_, error.what());
  }
  for (const char* name : {"epoch", "seconds"}) history.position(name);
  return history;
}

void History::write(const std::filesystem::path& file) const {
  std::string text = csv_row(columns_);
  for (const std::vector<double>& row : rows_) {
    std::vector<std::string> fields;
    for (size_t i = 0; i < row.size(); ++i)
      fields.push_back(is_count(columns_[i]) ? std::to_string(static_cast<int64_t>(row[i]))
                                             : csv_number(row[i]));
    text += csv_row(fields);
  }
  write_file(file, text);
}

bool History::has(const std::string& column) const {
  return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
}

size_t History::position(const std::string& name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end()) throw damaged(source_, "there is no column '" + name + "'");
  return static_cast<size_t>(found - columns_.begin());
}

std::vector<double> History::column(const std::string& name) const {
  if (rows_.empty()) return {};
  const size_t at = position(name);
  std::vector<double> values;
  for (const std::vector<double>& row : rows_) values.push_back(row[at]);
  return values;
}

double History::seconds() const {
  const std::vector<double> seconds = column("seconds");
  return std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

void History::add(std::vector<double> row) {
  ASSAY_CHECK(row.size() == columns_.size(), "history: {} numbers for {} columns", row.size(),
              columns_.size());
  rows_.push_back(std::move(row));
}

void History::cut_after(int epoch) {
  if (rows_.empty()) return;
  const size_t at = position("epoch");
  std::erase_if(rows_, [&](const std::vector<double>& row) { return row[at] > epoch; });
}

}  // namespace assay
