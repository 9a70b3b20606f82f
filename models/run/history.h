// history.csv: the metrics of a training, one line per epoch.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace assay {

/// A table of numbers. The first column is "epoch" (from 1), the last "seconds"; "step", if there
/// is one, is the number of steps done at the end of the epoch. The others are means over the
/// epoch.
class History {
 public:
  explicit History(std::vector<std::string> columns = {"epoch", "seconds"});
  /// Empty if there is no such file. CheckpointError if it is damaged.
  static History read(const std::filesystem::path& file);
  void write(const std::filesystem::path& file) const;

  const std::vector<std::string>& columns() const { return columns_; }
  const std::vector<std::vector<double>>& rows() const { return rows_; }
  bool has(const std::string& column) const;
  /// One number per row. CheckpointError if there are rows but no such column.
  std::vector<double> column(const std::string& name) const;
  double seconds() const;  ///< sum over the rows

  /// `row` has one number per column.
  void add(std::vector<double> row);
  /// Drops the rows of later epochs.
  void cut_after(int epoch);

 private:
  size_t position(const std::string& name) const;

  std::vector<std::string> columns_;
  std::vector<std::vector<double>> rows_;
  std::string source_;  ///< for messages
};

}  // namespace assay
