#include "models/run/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "data/file.h"
#include "kernels/runtime/context.h"
#include "kernels/runtime/error.h"
#include "models/detectors/kernel_density.h"
#include "models/networks/network.h"
#include "models/run/folder.h"

namespace assay {
namespace {

/// Options that not every model has, by their names in RunConfig.
const std::map<std::string, std::vector<std::string>> kModelsWith = {
    {"kde_bandwidth", {"kd-cae"}},
    {"train_noise", {"kd-cae", "ni-cae"}},
    {"score", {"ni-cae"}},
    {"test_noise", {"kd-cae", "ni-cae"}},
    {"folds", {"cnn"}},
    {"denoise", {"kd-cae", "ni-cae"}},
    {"class_weights", {"cnn"}},
    {"k_steps", {"dcgan"}},
    {"flips", {"cnn"}},
    {"sample_every", {"dcgan"}},
    {"shifts", {"cnn"}},
};

/// The option of the command line that sets a member of RunConfig.
std::string option_of(const std::string& member) {
  if (member == "object_class") return "--class";
  if (member == "split_file") return "--split";
  std::string option = "--" + member;
  std::replace(option.begin(), option.end(), '_', '-');
  return option;
}

void check_options_of_model(const RunConfig& config) {
  for (const std::string& member : differences(default_config(config.model, config.preset), config))
    ASSAY_CHECK_AS(UsageError, has_option(config.model, member),
                   "{}: is an option of {}, not of {}", option_of(member),
                   fmt::join(kModelsWith.at(member), ", "), config.model);
}

void check_one_of(const std::string& option, const std::string& value,
                  const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (value == name) return;
  throw UsageError(fmt::format("{}: '{}' is none of {}", option, value, fmt::join(names, ", ")));
}

/// Radford et al., 2016, arXiv:1511.06434, section 4. A game has no best epoch: it is played to the
/// end of its steps, whatever the size of the class.
void set_dcgan_defaults(RunConfig& config) {
  config.lr = 2e-4;
  config.steps = 4000;
  config.epochs = 4000;  // an epoch has one step at least
}

}  // namespace

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("._-/+=:,@%", c) != nullptr;
  });
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RunConfig, model, preset, data, object_class, good,
                                                bad, masks, split_file, seed, image_size, grey,
                                                device, precision, init, eps_placement, epochs,
                                                steps, batch, lr, patience, min_steps, keep_last,
                                                kde_bandwidth, train_noise, test_noise, denoise,
                                                score, folds, class_weights, flips, shifts, k_steps,
                                                sample_every)

bool has_option(const std::string& model, const std::string& member) {
  const auto found = kModelsWith.find(member);
  if (found == kModelsWith.end()) return true;
  return std::find(found->second.begin(), found->second.end(), model) != found->second.end();
}

std::vector<std::string> presets_of(const std::string& model) {
  std::vector<std::string> names, models;
  for (const Preset& preset : presets()) {
    if (preset.model == model) names.push_back(preset.name);
    if (models.empty() || models.back() != preset.model) models.push_back(preset.model);
  }
  ASSAY_CHECK_AS(UsageError, !names.empty(), "unknown model '{}'; there are: {}", model,
                 fmt::join(models, ", "));
  return names;
}

RunConfig default_config(const std::string& model, const std::string& preset) {
  const std::vector<std::string> presets = presets_of(model);
  RunConfig config;
  config.model = model;
  config.preset = preset.empty() ? presets.front() : preset;
  check_one_of("--preset", config.preset, presets);
  const Preset& chosen = find_preset(config.preset);
  config.image_size = chosen.image_size;
  config.grey = chosen.channels == 1;
  config.init = name_of(chosen.init);
  if (model == "dcgan") set_dcgan_defaults(config);
  return config;
}

void check(const RunConfig& c) {
  ASSAY_CHECK_AS(UsageError,
                 (c.data == "folder") == !c.good.empty() && c.good.empty() == c.bad.empty(),
                 "--good and --bad: give both, or --data and --class");
  ASSAY_CHECK_AS(UsageError, c.masks.empty() || !c.good.empty(), "--masks: needs --good and --bad");
  const auto at_least = [](const char* option, double value, double least) {
    ASSAY_CHECK_AS(UsageError, value >= least, "{}: {:g} is less than {:g}", option, value, least);
  };
  check_one_of("--preset", c.preset, presets_of(c.model));
  at_least("--epochs", c.epochs, 1);
  at_least("--steps", static_cast<double>(c.steps), 0);
  at_least("--batch", c.batch, 1);
  at_least("--patience", c.patience, 1);
  at_least("--min-steps", static_cast<double>(c.min_steps), 0);
  ASSAY_CHECK_AS(UsageError, std::isfinite(c.lr) && c.lr > 0, "--lr: {:g} is not a positive number",
                 c.lr);
  at_least("--image-size", c.image_size, 1);
  make_network(c.preset, c.image_size, c.channels());  // knows which sizes it can have
  at_least("--k-steps", c.k_steps, 1);
  at_least("--sample-every", static_cast<double>(c.sample_every), 1);
  check_one_of("--init", c.init, {"he", "keras", "dcgan"});
  check_one_of("--eps-placement", c.eps_placement, {"keras", "torch"});
  check_one_of("--train-noise", c.train_noise, {"clean", "noisy"});
  check_one_of("--test-noise", c.test_noise, {"clean", "noisy"});
  check_one_of("--device", c.device, {"cpu", "cuda"});
  const Precision precision = precision_from_name(c.precision.c_str());
  ASSAY_CHECK_AS(
      UsageError,
      c.device != "cpu" || precision == Precision::fp32 || precision == Precision::fp32_strict,
      "--precision {}: not on the CPU; there it is fp32 or fp32-strict", c.precision);
  ASSAY_CHECK_AS(UsageError, !c.denoise || c.train_noise == "noisy",
                 "--denoise: needs --train-noise noisy");
  check_one_of("--score", c.score, {"ssim", "mse"});
  at_least("--folds", c.folds, 2);
  at_least("--shifts", c.shifts, 0);
  ASSAY_CHECK_AS(UsageError, c.shifts < c.image_size,
                 "--shifts: {} pixels would move a picture of {} out of itself", c.shifts,
                 c.image_size);
  for (const std::string& text : {c.data, c.object_class, c.good, c.bad, c.masks, c.split_file})
    ASSAY_CHECK_AS(UsageError, is_utf8(text),
                   "'{}' is not UTF-8, so config.json cannot hold it; rename it", text);
  parse_bandwidth(c.kde_bandwidth);
  check_options_of_model(c);
}

std::string to_json(const RunConfig& config) {
  return nlohmann::ordered_json(nlohmann::json(config)).dump(2) + "\n";
}

void save(const RunConfig& config, const std::filesystem::path& file) {
  write_file(file, to_json(config));
}

RunConfig load_config(const std::filesystem::path& file) {
  std::error_code error;
  ASSAY_CHECK_AS(CheckpointError, std::filesystem::exists(file, error) || error,
                 "{}: not there, so this is no run folder; train a model into it first",
                 file.string());
  std::ifstream in(file);
  ASSAY_CHECK_AS(CheckpointError, in.good(), "{}: cannot be read", file.string());
  try {
    const auto json = nlohmann::json::parse(in);
    json.at("model");  // any other option may be missing in the file of an older version
    const auto config = json.get<RunConfig>();
    check(config);
    return config;
  } catch (const nlohmann::json::exception& e) {
    throw CheckpointError(
        fmt::format("{}: is no configuration of a run; train again with --force", file.string()));
  } catch (const UsageError& e) {
    throw CheckpointError(
        fmt::format("{}: was edited ({}); train again with --force", file.string(), e.what()));
  }
}

std::string data_name(const RunConfig& c) {
  if (c.data == "folder") return c.good;  // as given: many folders of good pictures end alike
  const std::filesystem::path path(c.data);
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

std::vector<std::string> differences(const RunConfig& a, const RunConfig& b) {
  const nlohmann::json first = a, second = b;
  std::vector<std::string> names;
  for (const auto& [name, value] : first.items())
    if (second.at(name) != value) names.push_back(name);
  return names;
}

std::string change_of(const std::string& option, const RunConfig& before, const RunConfig& now) {
  const nlohmann::json first = before, second = now;
  return option + ' ' + first.at(option).dump() + ", not " + second.at(option).dump();
}

std::string command_of(const RunConfig& config, const std::filesystem::path& out) {
  const RunConfig defaults = default_config(config.model, config.preset);
  const nlohmann::json values = config;
  std::string command = "assay train " + config.model;
  const auto add = [&](const std::string& member) {
    const nlohmann::json& value = values.at(member);
    command += " " + option_of(member);
    if (value.is_boolean()) {  // a preset's own flag can be taken away: the ni-cae ones are grey
      if (!value.get<bool>()) command += "=false";
      return;
    }
    command += " " + quoted(value.is_string() ? value.get<std::string>() : value.dump());
  };
  if (config.preset != config.model) add("preset");
  // Pictures of one's own have no --data; every other run says its own and its class.
  if (config.good.empty()) add("data");
  add("object_class");
  add("seed");
  for (const std::string& member : differences(defaults, config))
    if (member != "model" && member != "preset" && member != "data" && member != "object_class" &&
        member != "seed")
      add(member);
  return command + " --out " + quoted(out.string());
}

}  // namespace assay
