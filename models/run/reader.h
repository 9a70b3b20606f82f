// The one reader of what a run left on disk. A run folder may come from a stranger: whatever is
// missing, damaged or of another kind is a CheckpointError that names the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace assay {

/// All bytes of a regular file of at most 1 GiB; symbolic links are not followed.
std::string read_run_file(const std::filesystem::path& file);
/// An object, nested at most kMaxJsonDepth deep.
nlohmann::ordered_json read_run_json(const std::filesystem::path& file);
/// Whether something has this name, if only a symbolic link to nowhere.
bool is_there(const std::filesystem::path& file);

/// Typed access to an object of a JSON file. Errors name the file and the path of the key. The JSON
/// outlives the reader.
class JsonReader {
 public:
  JsonReader(const nlohmann::ordered_json& json, std::string source, std::string path = "");

  bool has(const std::string& key) const;
  bool is_null(const std::string& key) const;
  /// Finite.
  double number(const std::string& key) const;
  /// Null stands for a metric that does not exist.
  std::optional<double> metric(const std::string& key) const;
  /// A metric from 0 to 1.
  std::optional<double> rate(const std::string& key) const;
  /// A whole number, at least 0.
  int64_t count(const std::string& key) const;
  /// The same up to 2^64 - 1.
  uint64_t unsigned_count(const std::string& key) const;
  bool flag(const std::string& key) const;
  std::string text(const std::string& key) const;
  JsonReader object(const std::string& key) const;
  std::vector<JsonReader> objects(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  std::vector<std::string> keys() const;

  [[noreturn]] void refuse(const std::string& key, const char* what) const;

 private:
  const nlohmann::ordered_json& at(const std::string& key) const;
  const nlohmann::ordered_json& list(const std::string& key) const;

  const nlohmann::ordered_json& json_;
  std::string source_, path_;
};

}  // namespace assay
