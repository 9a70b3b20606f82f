#include "models/experiments/run.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/run/data.h"
#include "models/run/reader.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

/// Whether a folder holds a run, perhaps a damaged one, which --force may delete.
bool holds_run(const RunFolder& folder) {
  std::error_code ignored;
  for (const auto& file : {folder.checkpoint(), folder.model(), folder.fold(0).checkpoint()})
    if (std::filesystem::exists(file, ignored)) return true;
  try {
    const Json json = read_run_json(folder.config());
    return json.contains("model") && json.contains("preset");
  } catch (const CheckpointError&) {
    return false;
  }
}

/// Throws for a folder that the run must not use; false if it holds the finished run already.
bool prepare(const RunFolder& folder, const RunConfig& config, Start start) {
  const std::string name = folder.root().string();
  if (folder.empty()) return true;
  ASSAY_CHECK_AS(UsageError, holds_run(folder),
                 "{}: holds files that are no run of Assay's; choose another --out", name);
  if (start == Start::force) return true;
  ASSAY_CHECK_AS(UsageError, start != Start::fresh,
                 "{}: is not empty; go on with --resume or start anew with --force", name);
  ASSAY_CHECK_AS(UsageError, std::filesystem::exists(folder.config()),
                 "{}: has lost its config.json; start anew with --force or choose another --out",
                 name);
  RunConfig before = load_config(folder.config());
  ASSAY_CHECK_AS(CheckpointError, before.preset == config.preset,
                 "{}: is a run of {}, not of {}; choose another --out", name, before.preset,
                 config.preset);
  // The data set may have moved; its images are checked by name later.
  if (data_name(before) == data_name(config)) before.data = config.data;
  if (before.data == "folder" && config.data == "folder") {
    before.good = config.good;
    before.bad = config.bad;
    before.masks = config.masks;
  }
  if (config.bit_depth == "auto") before.bit_depth = "auto";  // the run keeps the number it found
  const std::vector<std::string> changed = differences(before, config);
  ASSAY_CHECK_AS(UsageError, changed.empty(),
                 "{}: was started with {}; give the same options, choose another --out, or start "
                 "anew with assay train --force",
                 name, change_of(changed.front(), before, config));
  return !folder.finished();
}

}  // namespace

RunMetrics train_run(const RunConfig& config, const RunFolder& folder, Start start,
                     const TrainingHooks& hooks) {
  check(config);
  const ModelSpec& model = find_model(config.model);
  std::error_code ignored;
  const std::string name = folder.root().string();
  ASSAY_CHECK_AS(UsageError,
                 !std::filesystem::exists(folder.root(), ignored) ||
                     std::filesystem::is_directory(folder.root(), ignored),
                 "{}: is a file, not a folder for a run", name);
  const RunClaim claim(folder);
  folder.check_names({});
  const bool is_finished = !prepare(folder, config, start);
  folder.recover();
  if (is_finished) {
    hooks.say(folder.root().string() + " is finished; nothing is left to do");
    return read_metrics(folder);
  }
  return model.train(with_bit_depth(config, folder, start), folder, start, hooks);
}

namespace {

/// The folder's configuration with what the options change.
RunConfig config_to_evaluate(const RunFolder& folder, const EvaluationOptions& options) {
  RunConfig config = load_config(folder.config());
  if (options.data) {
    config.data = *options.data;
    config.good = config.bad = config.masks = "";
  }
  ASSAY_CHECK_AS(UsageError,
                 config.data == "folder" || !(options.good || options.bad || options.masks),
                 "--good, --bad and --masks: {} learnt from {}; give --data",
                 folder.root().string(), config.data);
  config.good = options.good.value_or(config.good);
  config.bad = options.bad.value_or(config.bad);
  config.masks = options.masks.value_or(config.masks);
  config.test_noise = options.test_noise.value_or(config.test_noise);
  config.precision = options.precision.value_or(config.precision);
  set_threshold_rule(config, options.threshold.value_or(ThresholdRule()));
  check(config);
  return config;
}

}  // namespace

RunMetrics evaluate_run(const RunFolder& folder, const EvaluationOptions& options) {
  const RunConfig config = config_to_evaluate(folder, options);
  const RunClaim claim(folder);
  folder.recover();
  StagedFiles staged(folder);
  RunMetrics metrics = find_model(config.model).evaluate(config, folder, staged.folder());
  staged.commit();
  return metrics;
}

std::vector<NoisePoint> sweep_run(const RunFolder& folder, const EvaluationOptions& options) {
  const RunConfig config = config_to_evaluate(folder, options);
  const RunClaim claim(folder);
  folder.recover();
  return sweep_noise(config, folder);
}

}  // namespace assay
