#include "models/run/reader.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/runtime/error.h"
#include "kernels/runtime/read_file.h"
#include "tensor/json.h"

namespace assay {

namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxFile = uint64_t{1} << 30;

}  // namespace

std::string read_run_file(const std::filesystem::path& file) {
  FileContent content = read_whole_file(file, kMaxFile, Links::refuse);
  ASSAY_CHECK_AS(CheckpointError, content.failure.empty(), "{}: {}", file.string(),
                 content.failure);
  return std::move(content.bytes);
}

Json read_run_json(const std::filesystem::path& file) {
  Json json = parse_json<Json>(read_run_file(file));
  ASSAY_CHECK_AS(CheckpointError, json.is_object(), "{}: is damaged: it holds no JSON object",
                 file.string());
  return json;
}

bool is_there(const std::filesystem::path& file) {
  std::error_code ignored;
  return std::filesystem::symlink_status(file, ignored).type() !=
         std::filesystem::file_type::not_found;
}

JsonReader::JsonReader(const Json& json, std::string source, std::string path)
    : json_(json), source_(std::move(source)), path_(std::move(path)) {
  if (json_.is_object()) return;
  const std::string name =
      path_.empty() ? "" : fmt::format("'{}' ", path_.substr(0, path_.size() - 1));
  throw CheckpointError(fmt::format("{}: {}is no object", source_, name));
}

bool JsonReader::has(const std::string& key) const {
  return json_.contains(key);
}
bool JsonReader::is_null(const std::string& key) const {
  return at(key).is_null();
}

double JsonReader::number(const std::string& key) const {
  const Json& value = at(key);
  if (!value.is_number()) refuse(key, "is no number");
  const auto number = value.get<double>();
  if (!std::isfinite(number)) refuse(key, "is not finite");
  return number;
}

std::optional<double> JsonReader::metric(const std::string& key) const {
  if (is_null(key)) return std::nullopt;
  return number(key);
}

std::optional<double> JsonReader::rate(const std::string& key) const {
  const std::optional<double> value = metric(key);
  if (value && (*value < 0 || *value > 1)) refuse(key, "is not from 0 to 1");
  return value;
}

int64_t JsonReader::count(const std::string& key) const {
  const uint64_t value = unsigned_count(key);
  if (!std::in_range<int64_t>(value)) refuse(key, "is too large");
  return static_cast<int64_t>(value);
}

uint64_t JsonReader::unsigned_count(const std::string& key) const {
  const Json& value = at(key);
  if (!value.is_number_integer()) refuse(key, "is no whole number");
  if (!value.is_number_unsigned() && value.get<int64_t>() < 0) refuse(key, "is less than 0");
  return value.get<uint64_t>();
}

bool JsonReader::flag(const std::string& key) const {
  const Json& value = at(key);
  if (!value.is_boolean()) refuse(key, "is neither true nor false");
  return value.get<bool>();
}

std::string JsonReader::text(const std::string& key) const {
  const Json& value = at(key);
  if (!value.is_string()) refuse(key, "is no text");
  return value.get<std::string>();
}

JsonReader JsonReader::object(const std::string& key) const {
  return {at(key), source_, path_ + key + "."};
}

std::vector<JsonReader> JsonReader::objects(const std::string& key) const {
  const Json& values = list(key);
  std::vector<JsonReader> readers;
  for (size_t i = 0; i < values.size(); ++i)
    readers.emplace_back(values[i], source_, fmt::format("{}{}[{}].", path_, key, i));
  return readers;
}

std::vector<double> JsonReader::numbers(const std::string& key) const {
  std::vector<double> numbers;
  for (const Json& value : list(key)) {
    if (!value.is_number()) refuse(key, "holds what is no number");
    numbers.push_back(value.get<double>());
  }
  return numbers;
}

std::vector<std::string> JsonReader::texts(const std::string& key) const {
  std::vector<std::string> texts;
  for (const Json& value : list(key)) {
    if (!value.is_string()) refuse(key, "holds what is no text");
    texts.push_back(value.get<std::string>());
  }
  return texts;
}

std::vector<std::string> JsonReader::keys() const {
  std::vector<std::string> keys;
  for (const auto& item : json_.items()) keys.push_back(item.key());
  return keys;
}

void JsonReader::refuse(const std::string& key, const char* what) const {
  throw CheckpointError(fmt::format("{}: '{}{}' {}", source_, path_, key, what));
}

const Json& JsonReader::at(const std::string& key) const {
  const auto found = json_.find(key);
  if (found == json_.end()) refuse(key, "is missing");
  return *found;
}

const Json& JsonReader::list(const std::string& key) const {
  const Json& value = at(key);
  if (!value.is_array()) refuse(key, "is no list");
  return value;
}

}  // namespace assay
