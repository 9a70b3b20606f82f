#include "apps/suite/suite.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "kernels/runtime/error.h"
#include "models/csv.h"
#include "models/run.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kQuickSteps = 250;
constexpr int kQuickClasses = 2;

/// What a profile says of a model.
struct Plan {
  std::string model;
  int classes;  ///< at most
  int seeds;
  int64_t steps;  ///< 0 = to the end of section 1's rules
};

std::vector<Plan> plans_of(const std::string& profile) {
  if (profile == "quick") return {{"kd-cae", kQuickClasses, 1, kQuickSteps}};
  if (profile == "paper") return {{"kd-cae", 1000, 5, 0}};
  throw UsageError(str("--profile: '", profile, "' is neither quick nor paper"));
}

/// On the built-in data an object and a texture come first.
std::vector<std::string> default_classes(const std::string& data) {
  if (data == "builtin") return {"ring", "leather", "brush", "chip", "screw"};
  return list_classes(data);
}

void check_classes(const std::string& data, const std::vector<std::string>& classes) {
  const std::vector<std::string> known = list_classes(data);
  for (const std::string& name : classes)
    ASSAY_CHECK_AS(UsageError, std::find(known.begin(), known.end(), name) != known.end(), data,
                   ": has no class '", name, "'; there are: ", listed(known));
}

Cell make_cell(const SuiteOptions& options, const Plan& plan, const std::string& object_class,
               uint64_t seed) {
  Cell cell;
  cell.config = default_config(plan.model);
  cell.config.data = options.data;
  cell.config.object_class = object_class;
  cell.config.seed = seed;
  const int64_t steps = options.steps > 0 ? options.steps : plan.steps;
  if (steps > 0) {
    cell.config.steps = steps;
    cell.config.epochs = static_cast<int>(steps);  // an epoch has one step at least
  }
  if (options.image_size > 0) cell.config.image_size = options.image_size;
  cell.folder = str(plan.model, "-", object_class, "-seed", seed);
  cell.command = str("assay train ", plan.model, " --data ", options.data, " --class ",
                     object_class, " --seed ", seed);
  if (steps > 0)
    cell.command += str(" --steps ", cell.config.steps, " --epochs ", cell.config.epochs);
  if (options.image_size > 0) cell.command += str(" --image-size ", options.image_size);
  cell.command += str(" --out ", (options.out / cell.folder).string());
  return cell;
}

void write_results(const SuiteOptions& options, const std::vector<Cell>& cells) {
  Json json = {{"profile", options.profile}, {"data", options.data}, {"cells", Json::array()}};
  const std::vector<std::string> columns = {
      "model",  "class",     "seed",  "image_auroc", "image_ap", "f1",           "f1_all_positive",
      "f1_max", "threshold", "fpr95", "pixel_auroc", "aupro",    "seconds_train"};
  std::string csv = csv_row(columns);
  for (const Cell& cell : cells) {
    const RunFolder folder(options.out / cell.folder);
    if (!folder.finished()) continue;
    const Json metrics = read_metrics(folder);
    json["cells"].push_back(
        {{"run", cell.folder.string()}, {"command", cell.command}, {"metrics", metrics}});
    std::vector<std::string> row;
    for (const std::string& column : columns) {
      const Json& value = metrics[column];
      row.push_back(value.is_string() ? value.get<std::string>()
                    : value.is_null() ? ""
                                      : value.dump());
    }
    csv += csv_row(row);
  }
  write_file(options.out / "results.json", json.dump(2) + "\n");
  write_file(options.out / "results.csv", csv);
}

}  // namespace

std::vector<Cell> cells_of(const SuiteOptions& options) {
  ASSAY_CHECK_AS(UsageError,
                 options.shards >= 1 && options.shard >= 1 && options.shard <= options.shards,
                 "--shard: ", options.shard, "/", options.shards, " is not I/N with I from 1 to N");
  ASSAY_CHECK_AS(UsageError, options.seeds >= 0, "--seeds: ", options.seeds, " is less than 0");
  check_classes(options.data, options.classes);
  for (const std::string& model : options.models) presets_of(model);
  std::vector<Cell> cells;
  for (const Plan& plan : plans_of(options.profile)) {
    if (!options.models.empty() &&
        std::find(options.models.begin(), options.models.end(), plan.model) == options.models.end())
      continue;
    std::vector<std::string> classes = options.classes;
    if (classes.empty()) {
      classes = default_classes(options.data);
      classes.resize(std::min<size_t>(classes.size(), plan.classes));
    }
    const int seeds = options.seeds > 0 ? options.seeds : plan.seeds;
    for (const std::string& name : classes)
      for (int seed = 1; seed <= seeds; ++seed)
        cells.push_back(make_cell(options, plan, name, static_cast<uint64_t>(seed)));
  }
  for (size_t i = 0; i < cells.size(); ++i)
    cells[i].mine = static_cast<int>(i) % options.shards == options.shard - 1;
  return cells;
}

void run_suite(const SuiteOptions& options,
               const std::function<TrainingHooks(const Cell&)>& hooks_for) {
  const std::vector<Cell> cells = cells_of(options);
  for (const Cell& cell : cells) {
    const RunFolder folder(options.out / cell.folder);
    if (!cell.mine || folder.finished()) continue;
    train_run(cell.config, folder, Start::resume, hooks_for(cell));
    write_results(options, cells);
  }
  write_results(options, cells);
}

}  // namespace assay
