#include "models/run/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "data/file.h"
#include "kernels/runtime/context.h"
#include "kernels/runtime/error.h"
#include "layers/init.h"
#include "models/run/folder.h"

namespace assay {
namespace {

std::vector<std::string> init_names() {
  std::vector<std::string> names;
  for (const Init init : {Init::he, Init::keras, Init::dcgan}) names.push_back(name_of(init));
  return names;
}

struct known_precision {
  void operator()(const std::string&, const std::string& value) const {
    precision_from_name(value.c_str());
  }
};

template <class T, class Check>
Option option_of(const char* name, const char* flag, OptionGroup group, T RunConfig::*member,
                 Check check, std::string help) {
  return {.name = name,
          .flag = flag,
          .group = group,
          .initial = RunConfig().*member,
          .get = [member](const RunConfig& config) -> OptionValue { return config.*member; },
          .set = [member](RunConfig& config,
                          const OptionValue& value) { config.*member = std::get<T>(value); },
          .check = [flag, check](const OptionValue& value) { check(flag, std::get<T>(value)); },
          .help = std::move(help)};
}

nlohmann::json json_of(const OptionValue& value) {
  return std::visit([](const auto& v) { return nlohmann::json(v); }, value);
}

}  // namespace

const std::vector<Option>& option_table() {
  static const std::vector<Option> table = {
#define OPTION(type, member, initial, flag, group, check, help) \
  option_of(#member, flag, OptionGroup::group, &RunConfig::member, check, help),
#include "models/run/option_table.h"
#undef OPTION
  };
  return table;
}

void at_least::operator()(const std::string& flag, double value) const {
  ASSAY_CHECK_AS(UsageError, value >= min, "{}: {} is less than {}", flag, value, min);
}

void depth_of_bits::operator()(const std::string& flag, const std::string& value) const {
  const int bits = value.size() <= 2 ? std::atoi(value.c_str()) : 0;
  ASSAY_CHECK_AS(UsageError,
                 value == "auto" || (bits >= 8 && bits <= 16 && value == std::to_string(bits)),
                 "{}: '{}' is neither auto nor a number from 8 to 16", flag, value);
}

void optional_number::operator()(const std::string& flag, const std::string& text) const {
  if (text.empty()) return;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  ASSAY_CHECK_AS(UsageError, *end == '\0' && std::isfinite(value), "{}: '{}' is no number", flag,
                 text);
  ASSAY_CHECK_AS(UsageError, value > low && value < high, "{}: {} does not lie between {} and {}",
                 flag, text, low, high);
}

void positive::operator()(const std::string& flag, double value) const {
  ASSAY_CHECK_AS(UsageError, std::isfinite(value) && value > 0, "{}: {} is not a positive number",
                 flag, value);
}

void share::operator()(const std::string& flag, double value) const {
  ASSAY_CHECK_AS(UsageError, value >= 0 && value <= 1, "{}: {} is not from 0 to 1", flag, value);
}

void one_of::operator()(const std::string& flag, const std::string& value) const {
  ASSAY_CHECK_AS(UsageError, std::find(names.begin(), names.end(), value) != names.end(),
                 "{}: '{}' is none of {}", flag, value, fmt::join(names, ", "));
}

void utf8::operator()(const std::string&, const std::string& value) const {
  ASSAY_CHECK_AS(UsageError, is_utf8(value),
                 "'{}' is not UTF-8, so config.json cannot hold it; rename it", value);
}

void check_options(const RunConfig& c) {
  ASSAY_CHECK_AS(UsageError,
                 (c.data == "folder") == !c.good.empty() && (c.bad.empty() || !c.good.empty()),
                 "--bad: needs --good, a folder of good images; or give --data and --class");
  ASSAY_CHECK_AS(UsageError, c.masks.empty() || !c.bad.empty(), "--masks: needs --good and --bad");
  for (const Option& option : option_table()) option.check(option.get(c));
  const Precision precision = precision_from_name(c.precision.c_str());
  ASSAY_CHECK_AS(
      UsageError,
      c.device != "cpu" || (precision != Precision::tf32x3 && precision != Precision::tf32),
      "--precision {}: not on the CPU; there it is fp32, fp32-strict or bf16", c.precision);
  ASSAY_CHECK_AS(UsageError, !c.denoise || c.train_noise == "noisy",
                 "--denoise: needs --train-noise noisy");
  ASSAY_CHECK_AS(UsageError, c.shifts < c.image_size,
                 "--shifts: {} pixels would move an image of {} out of itself", c.shifts,
                 c.image_size);
}

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("._-/+=:,@%", c) != nullptr;
  });
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

nlohmann::json json_of(const RunConfig& config) {
  nlohmann::json json = {{"model", config.model}, {"preset", config.preset}};
  for (const Option& option : option_table()) json[option.name] = json_of(option.get(config));
  for (const auto& [name, value] : config.own_values) json[name] = json_of(value);
  return json;
}

namespace {

/// nlohmann's get() would turn 2.5 into 2, true into 1 and wrap 2^32.
template <class T>
T typed(const nlohmann::json& value, const std::string& name) {
  bool fits = false;
  if constexpr (std::is_same_v<T, std::string>) {
    fits = value.is_string();
  } else if constexpr (std::is_same_v<T, bool>) {
    fits = value.is_boolean();
  } else if constexpr (std::is_same_v<T, double>) {
    fits = value.is_number();
  } else if (value.is_number_unsigned()) {
    fits = std::in_range<T>(value.get<uint64_t>());
  } else if (value.is_number_integer()) {
    fits = std::in_range<T>(value.get<int64_t>());
  }
  ASSAY_CHECK_AS(UsageError, fits, "{} cannot be {:.40}", name, value.dump());
  return value.get<T>();
}

}  // namespace

RunConfig config_from(const nlohmann::json& json, std::span<const Option> own) {
  RunConfig config;
  const auto value = [&](const std::string& name, const auto& initial) {
    const auto found = json.find(name);
    return found == json.end() ? initial : typed<std::decay_t<decltype(initial)>>(*found, name);
  };
  config.model = value("model", config.model);
  config.preset = value("preset", config.preset);
  const auto read = [&](const Option& option) {
    std::visit([&](const auto& initial) { option.set(config, value(option.name, initial)); },
               option.initial);
  };
  std::for_each(option_table().begin(), option_table().end(), read);
  std::for_each(own.begin(), own.end(), read);
  return config;
}

std::string to_json(const RunConfig& config) {
  return json_of(config).dump(2) + "\n";
}

void save(const RunConfig& config, const std::filesystem::path& file) {
  write_file(file, to_json(config));
}

std::string data_name(const RunConfig& c) {
  if (c.data == "folder") return c.good;  // as given, because many of them have one last name
  if (c.data == "builtin") return c.data;
  // "data/." and "../data" may name one folder.
  const std::filesystem::path path = std::filesystem::absolute(c.data).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

std::vector<std::string> differences(const RunConfig& a, const RunConfig& b) {
  const nlohmann::json first = json_of(a), second = json_of(b);
  std::vector<std::string> names;
  for (const auto& [name, value] : first.items())
    if (!second.contains(name) || second[name] != value) names.push_back(name);
  for (const auto& [name, value] : second.items())
    if (!first.contains(name)) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string change_of(const std::string& option, const RunConfig& before, const RunConfig& now) {
  const nlohmann::json first = json_of(before), second = json_of(now);
  return fmt::format("{} {}, not {}", option, first.value(option, nlohmann::json()).dump(),
                     second.value(option, nlohmann::json()).dump());
}

}  // namespace assay
