#include "models/run.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/machine.h"
#include "models/model_table.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

/// "data 'a', now 'b'": what a run in progress does not allow.
std::string change_of(const std::string& option, const RunConfig& before, const RunConfig& now) {
  const auto value = [&](const RunConfig& config) {
    return Json::parse(to_json(config)).at(option).dump();
  };
  return str(option, ' ', value(before), ", not ", value(now));
}

/// Refuses a folder that is in use; false when a finished run is to be left alone.
bool prepare(const RunFolder& folder, const RunConfig& config, Start start) {
  const std::string name = folder.root().string();
  if (folder.empty() || start == Start::force) return true;
  ASSAY_CHECK_AS(UsageError, start != Start::fresh, name,
                 ": is not empty; go on with --resume or start anew with --force");
  ASSAY_CHECK_AS(UsageError, std::filesystem::exists(folder.config()), name,
                 ": holds files but no run to resume; choose another --out");
  const RunConfig before = load_config(folder.config());
  ASSAY_CHECK_AS(CheckpointError, before.preset == config.preset, name, ": is a run of ",
                 before.preset, ", not of ", config.preset, "; choose another --out");
  const std::vector<std::string> changed = differences(before, config);
  ASSAY_CHECK_AS(UsageError, changed.empty(), name, ": was started with ",
                 change_of(changed.front(), before, config),
                 "; give the same options, or start anew with --force");
  return !folder.finished();
}

}  // namespace

Json train_run(const RunConfig& config, const RunFolder& folder, Start start,
               const TrainingHooks& hooks) {
  check(config);
  const Model& model = find_model(config.model);
  std::error_code ignored;
  const std::string name = folder.root().string();
  ASSAY_CHECK_AS(UsageError,
                 !std::filesystem::exists(folder.root(), ignored) ||
                     std::filesystem::is_directory(folder.root(), ignored),
                 name, ": is a file, not a folder for a run");
  const RunClaim claim(folder);
  if (!prepare(folder, config, start)) {
    hooks.say(folder.root().string() + " is finished; nothing is left to do");
    return read_metrics(folder);
  }
  const Json metrics = model.train(config, folder, start, hooks);
  write_file(folder.machine(), machine_json().dump(2) + "\n");
  return metrics;
}

Json evaluate_run(const RunFolder& folder, const EvaluationOptions& options) {
  RunConfig config = load_config(folder.config());
  if (options.data) {
    config.data = *options.data;
    config.good = config.bad = config.masks = "";
  }
  config.test_noise = options.test_noise.value_or(config.test_noise);
  check(config);
  const RunClaim claim(folder);
  return find_model(config.model).evaluate(config, folder);
}

Json read_metrics(const RunFolder& folder) {
  std::ifstream in(folder.metrics());
  Json metrics = Json::parse(in, nullptr, false);
  ASSAY_CHECK_AS(CheckpointError, metrics.is_object() && metrics.contains("seconds_train"),
                 folder.metrics().string(), ": is not there or damaged; run assay evaluate ",
                 folder.root().string());
  return metrics;
}

}  // namespace assay
