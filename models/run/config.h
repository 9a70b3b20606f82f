// The configuration of a training run and its file config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "data/noise.h"
#include "models/run/option.h"

namespace assay {

/// The options of `assay train` that can change a bit of the result, and nothing else (no threads,
/// no output paths), so that config.json says how to repeat the run.
struct RunConfig {
  std::string model;   ///< the name of a ModelSpec
  std::string preset;  ///< one of its presets
#define OPTION(type, member, initial, flag, group, check, help) type member = initial;
#include "models/run/option_table.h"
#undef OPTION
  /// Values of the options that the model brings itself (ModelSpec::own_options).
  std::map<std::string, OptionValue> own_values;

  int channels() const {
    return grey ? 1 : 3;
  }
  /// The value of an own option of the model. Throws std::out_of_range if it has none.
  template <class T>
  const T& own(const std::string& name) const {
    return std::get<T>(own_values.at(name));
  }
};

/// UsageError that names the first option of the table whose value is not allowed, or the first
/// pair that does not fit. check() of models/experiments/configure.h also calls the model's check.
void check_options(const RunConfig& config);

/// Shell-quotes a word if needed.
std::string quoted(const std::string& word);

/// Model, preset and all options by name, sorted.
nlohmann::json json_of(const RunConfig& config);
/// The inverse of json_of(); options that the JSON lacks keep their default. `own`: the model's own
/// options. UsageError that names the first value of another type or out of its range.
RunConfig config_from(const nlohmann::json& json, std::span<const Option> own);
/// The text of config.json.
std::string to_json(const RunConfig& config);
void save(const RunConfig& config, const std::filesystem::path& file);

/// A name for the data: "builtin", the last part of the path of --data (machines may have the same
/// data at different paths), or the folder that --good names.
std::string data_name(const RunConfig& config);

/// Names of the options in which two configurations differ, sorted.
std::vector<std::string> differences(const RunConfig& a, const RunConfig& b);
/// How one option differs: "steps 4, not 3".
std::string change_of(const std::string& option, const RunConfig& before, const RunConfig& now);

template <class T, class Check>
Option own_option(const std::string& name, T initial, Check check, std::string help) {
  std::string flag = "--" + name;
  for (char& c : flag)
    if (c == '_') c = '-';
  return {.name = name,
          .flag = flag,
          .group = OptionGroup::model,
          .initial = initial,
          .get = [name, initial](const RunConfig& config) -> OptionValue {
            const auto found = config.own_values.find(name);
            return found == config.own_values.end() ? OptionValue(initial) : found->second;
          },
          .set = [name](RunConfig& config,
                        const OptionValue& value) { config.own_values[name] = value; },
          .check = [flag, check](const OptionValue& value) { check(flag, std::get<T>(value)); },
          .help = std::move(help)};
}

}  // namespace assay
