#include "models/run_config.h"

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "kernels/runtime/context.h"
#include "kernels/runtime/error.h"
#include "models/kde_detector.h"
#include "models/run_folder.h"

namespace assay {
namespace {

const std::vector<std::pair<std::string, std::vector<std::string>>> kPresets = {
    {"kd-cae", {"kd-cae", "kd-cae-strided"}},
};

void check_one_of(const std::string& option, const std::string& value,
                  const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (value == name) return;
  throw UsageError(str(option, ": '", value, "' is none of ", listed(names)));
}

}  // namespace

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RunConfig, model, preset, data, object_class, good, bad, masks,
                                   split_file, seed, image_size, grey, device, precision, init,
                                   eps_placement, epochs, steps, batch, lr, patience, min_steps,
                                   keep_last, kde_bandwidth, train_noise, test_noise, denoise)

std::vector<std::string> presets_of(const std::string& model) {
  std::vector<std::string> models;
  for (const auto& [name, presets] : kPresets) {
    if (name == model) return presets;
    models.push_back(name);
  }
  throw UsageError(str("unknown model '", model, "'; there are: ", listed(models)));
}

RunConfig default_config(const std::string& model, const std::string& preset) {
  const std::vector<std::string> presets = presets_of(model);
  RunConfig config;
  config.model = model;
  config.preset = preset.empty() ? presets.front() : preset;
  check_one_of("--preset", config.preset, presets);
  return config;
}

void check(const RunConfig& c) {
  ASSAY_CHECK_AS(UsageError,
                 (c.data == "folder") == !c.good.empty() && c.good.empty() == c.bad.empty(),
                 "--good and --bad: give both, or --data and --class");
  ASSAY_CHECK_AS(UsageError, c.masks.empty() || !c.good.empty(), "--masks: needs --good and --bad");
  const auto at_least = [](const char* option, double value, double least) {
    ASSAY_CHECK_AS(UsageError, value >= least, option, ": ", value, " is less than ", least);
  };
  check_one_of("--preset", c.preset, presets_of(c.model));
  at_least("--epochs", c.epochs, 1);
  at_least("--steps", static_cast<double>(c.steps), 0);
  at_least("--batch", c.batch, 1);
  at_least("--patience", c.patience, 1);
  at_least("--min-steps", static_cast<double>(c.min_steps), 0);
  ASSAY_CHECK_AS(UsageError, std::isfinite(c.lr) && c.lr > 0, "--lr: ", c.lr,
                 " is not a positive number");
  // The autoencoders halve the picture four times, and SSIM needs 11 pixels.
  ASSAY_CHECK_AS(UsageError, c.image_size >= 16 && c.image_size <= 1024 && c.image_size % 16 == 0,
                 "--image-size: ", c.image_size, " is not a multiple of 16 from 16 to 1024");
  check_one_of("--init", c.init, {"he", "keras"});
  check_one_of("--eps-placement", c.eps_placement, {"keras", "torch"});
  check_one_of("--train-noise", c.train_noise, {"clean", "noisy"});
  check_one_of("--test-noise", c.test_noise, {"clean", "noisy"});
  check_one_of("--device", c.device, {"cpu", "cuda"});
  const Precision precision = precision_from_name(c.precision.c_str());
  ASSAY_CHECK_AS(
      UsageError,
      c.device != "cpu" || precision == Precision::fp32 || precision == Precision::fp32_strict,
      "--precision ", c.precision, ": not on the CPU; there it is fp32 or fp32-strict");
  ASSAY_CHECK_AS(UsageError, !c.denoise || c.train_noise == "noisy",
                 "--denoise: needs --train-noise noisy");
  parse_bandwidth(c.kde_bandwidth);
}

std::string to_json(const RunConfig& config) {
  return nlohmann::ordered_json(nlohmann::json(config)).dump(2) + "\n";
}

void save(const RunConfig& config, const std::filesystem::path& file) {
  write_file(file, to_json(config));
}

RunConfig load_config(const std::filesystem::path& file) {
  std::ifstream in(file);
  ASSAY_CHECK_AS(CheckpointError, in.good(), file.string(),
                 ": not there, so this is no run folder; train a model into it first");
  try {
    return nlohmann::json::parse(in).get<RunConfig>();
  } catch (const nlohmann::json::exception& e) {
    throw CheckpointError(
        str(file.string(), ": is no configuration of a run; train again with --force"));
  }
}

std::vector<std::string> differences(const RunConfig& a, const RunConfig& b) {
  const nlohmann::json first = a, second = b;
  std::vector<std::string> names;
  for (const auto& [name, value] : first.items())
    if (second.at(name) != value) names.push_back(name);
  return names;
}

}  // namespace assay
