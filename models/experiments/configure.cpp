#include "models/experiments/configure.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/runtime/error.h"
#include "models/evaluation/threshold.h"
#include "models/experiments/registry.h"
#include "models/run/reader.h"

namespace assay {
namespace {

void check_preset(const ModelSpec& model, const std::string& preset) {
  one_of{names_of(model.presets)}("--preset", preset);
}

const Option* find_option(const std::vector<Option>& options, const std::string& name) {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [&](const Option& option) { return option.name == name; });
  return found == options.end() ? nullptr : &*found;
}

}  // namespace

RunConfig default_config(const std::string& model, const std::string& preset) {
  const ModelSpec& spec = find_model(model);
  RunConfig config;
  config.model = model;
  config.preset = preset.empty() ? spec.presets.front().name : preset;
  check_preset(spec, config.preset);
  const Preset& chosen = find_preset(config.preset);
  config.image_size = chosen.image_size;
  config.grey = chosen.channels == 1;
  config.init = name_of(chosen.init);
  for (const Option& option : spec.own_options) option.set(config, option.initial);
  if (spec.set_defaults) spec.set_defaults(config);
  return config;
}

bool has_option(const std::string& model, const std::string& name) {
  const ModelSpec& spec = find_model(model);
  if (find_option(spec.own_options, name) != nullptr) return true;
  const Option* option = find_option(option_table(), name);
  if (option == nullptr) return name == "model" || name == "preset";
  return option->group != OptionGroup::model ||
         std::find(spec.options.begin(), spec.options.end(), name) != spec.options.end();
}

std::vector<std::string> models_with(const std::string& name) {
  std::vector<std::string> names = model_names();
  std::erase_if(names, [&](const std::string& model) { return !has_option(model, name); });
  return names;
}

std::vector<Option> all_options() {
  std::vector<Option> options = option_table();
  for (const std::string& model : model_names())
    for (const Option& option : find_model(model).own_options)
      if (find_option(options, option.name) == nullptr) options.push_back(option);
  return options;
}

void check(const RunConfig& config) {
  const ModelSpec& model = find_model(config.model);
  check_preset(model, config.preset);
  check_options(config);
  threshold_rule(config);  // more than one is an error
  const std::vector<Option> options = all_options();
  for (const std::string& name : differences(default_config(config.model, config.preset), config))
    ASSAY_CHECK_AS(UsageError, has_option(config.model, name), "{}: is an option of {}, not of {}",
                   find_option(options, name)->flag, fmt::join(models_with(name), ", "),
                   config.model);
  for (const Option& option : model.own_options) option.check(option.get(config));
  // The constructor of the network checks the image size.
  if (find_preset(config.preset).make) make_network(config);
  if (model.check) model.check(config);
}

RunConfig load_config(const std::filesystem::path& file) {
  ASSAY_CHECK_AS(CheckpointError, is_there(file),
                 "{}: not there, so this is no run folder; train a model into it first",
                 file.string());
  const nlohmann::json json = read_run_json(file);
  const std::string name = JsonReader(json, file.string()).text("model");
  const std::vector<std::string> models = model_names();
  ASSAY_CHECK_AS(CheckpointError, std::find(models.begin(), models.end(), name) != models.end(),
                 "{}: is a run of '{}', which this program does not have; there are: {}",
                 file.string(), name, fmt::join(models, ", "));
  const ModelSpec& model = find_model(name);
  try {
    // All options but the model may be missing in a file of an older version.
    RunConfig config = config_from(json, model.own_options);
    if (config.preset.empty()) config.preset = model.presets.front().name;
    check(config);
    return config;
  } catch (const UsageError& e) {
    throw CheckpointError(
        fmt::format("{}: was edited ({}); train again with --force", file.string(), e.what()));
  }
}

std::string command_of(const RunConfig& config, const std::filesystem::path& out) {
  const RunConfig defaults = default_config(config.model, config.preset);
  const std::vector<Option> options = all_options();
  const nlohmann::json values = json_of(config);
  std::string command = "assay train " + config.model;
  const auto add = [&](const std::string& name) {
    const nlohmann::json& value = values.at(name);
    command += " " + find_option(options, name)->flag;
    if (value.is_boolean()) {  // a preset can set a flag, so --flag=false is printed too
      if (!value.get<bool>()) command += "=false";
      return;
    }
    command += " " + quoted(value.is_string() ? value.get<std::string>() : value.dump());
  };
  if (config.preset != find_model(config.model).presets.front().name)
    command += " --preset " + quoted(config.preset);
  if (config.good.empty()) add("data");  // --good and --bad take the place of --data
  add("object_class");
  add("seed");
  for (const std::string& name : differences(defaults, config))
    if (name != "data" && name != "object_class" && name != "seed") add(name);
  return command + " --out " + quoted(out.string());
}

}  // namespace assay
