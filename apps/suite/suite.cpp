#include "apps/suite/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "apps/suite/results.h"
#include "data/dataset.h"
#include "data/file.h"
#include "kernels/runtime/error.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/experiments/run.h"
#include "models/training/checkpoint.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kResultsInterval(20);

/// The SuiteCells of every model in a profile.
std::vector<const SuiteCells*> cells_in(const std::string& profile) {
  std::vector<const SuiteCells*> found;
  std::set<std::string> profiles;
  for (const std::string& model : model_names())
    for (const auto& [name, cells] : find_model(model).suite) {
      if (name == profile) found.push_back(&cells);
      profiles.insert(name);
    }
  ASSAY_CHECK_AS(UsageError, !found.empty(), "--profile: '{}' is none of {}", profile,
                 fmt::join(profiles, ", "));
  return found;
}

/// The classes of the options, else all classes of the data. Of the built-in ones an object and a
/// texture come first, so that a short suite has both.
std::vector<std::string> all_classes(const SuiteOptions& options) {
  if (!options.classes.empty()) return options.classes;
  if (options.data != "builtin") return list_classes(options.data);
  return {"ring", "leather", "brush", "chip", "screw"};
}

std::vector<std::string> classes_of(const SuiteOptions& options, const SuiteCells& plan) {
  std::vector<std::string> classes = all_classes(options);
  if (!options.classes.empty()) return classes;
  if (options.data == "builtin") {
    const auto first = std::find(classes.begin(), classes.end(), plan.builtin_class);
    std::rotate(classes.begin(), first, first + 1);
  }
  classes.resize(std::min<size_t>(classes.size(), plan.max_classes));
  return classes;
}

void check_distinct(const char* option, std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  ASSAY_CHECK_AS(UsageError, twice == names.end(), "{}: names {} twice", option, *twice);
}

void check_classes(const std::string& data, const std::vector<std::string>& classes) {
  const std::vector<std::string> known = list_classes(data);
  for (const std::string& name : classes)
    ASSAY_CHECK_AS(UsageError, std::find(known.begin(), known.end(), name) != known.end(),
                   "{}: has no class '{}'; there are: {}", data, name, fmt::join(known, ", "));
}

/// The variants of a model's cells that the options ask for.
std::vector<const SuiteVariant*> variants_of(const SuiteOptions& options, const SuiteCells& plan) {
  std::vector<const SuiteVariant*> chosen;
  for (const SuiteVariant& variant : plan.variants) {
    const bool wanted = options.variants
                            ? std::find(options.variants->begin(), options.variants->end(),
                                        variant.name) != options.variants->end()
                            : options.models.empty() && !variant.on_request;
    if (wanted) chosen.push_back(&variant);
  }
  return chosen;
}

/// UsageError for a variant that no model of the profile has.
void check_variants(const SuiteOptions& options) {
  if (!options.variants) return;
  check_distinct("--variants", *options.variants);
  std::set<std::string> known;
  for (const SuiteCells* plan : cells_in(options.profile))
    for (const SuiteVariant& variant : plan->variants) known.insert(variant.name);
  for (const std::string& name : *options.variants)
    ASSAY_CHECK_AS(UsageError, known.contains(name), "--variants: '{}' is none of {}", name,
                   fmt::join(known, ", "));
}

void set_noise(RunConfig& config, const std::string& condition) {
  const size_t slash = condition.find('/');
  const auto known = [](const std::string& word) { return word == "clean" || word == "noisy"; };
  config.train_noise = condition.substr(0, slash);
  config.test_noise = slash == std::string::npos ? "" : condition.substr(slash + 1);
  ASSAY_CHECK_AS(UsageError, known(config.train_noise) && known(config.test_noise),
                 "--noise: '{}' is not training/test, each clean or noisy", condition);
}

Cell make_cell(const SuiteOptions& options, const SuiteCells& plan, const std::string& object_class,
               uint64_t seed, const std::string& condition, const SuiteVariant* variant) {
  Cell cell;
  RunConfig& config = cell.config;
  config = default_config(model_of_preset(plan.preset).name, plan.preset);
  config.data = options.data;
  config.object_class = object_class;
  config.seed = seed;
  const int64_t steps = options.steps > 0 ? options.steps : plan.steps;
  if (steps > 0) {
    config.steps = steps;
    // No further limit: an epoch has at least one step.
    config.epochs = static_cast<int>(std::min<int64_t>(steps, std::numeric_limits<int>::max()));
  }
  if (plan.batch > 0) config.batch = plan.batch;
  if (plan.image_size > 0) config.image_size = plan.image_size;
  if (options.image_size > 0) config.image_size = options.image_size;
  config.precision = options.precision;
  set_noise(config, condition);
  std::string name = fmt::format("{}-{}-seed{}", plan.preset, object_class, seed);
  if (condition != "clean/clean")
    name += fmt::format("-{}-{}", config.train_noise, config.test_noise);
  if (config.precision != RunConfig().precision) name += "-" + config.precision;
  if (variant != nullptr) {
    variant->set(config);
    name += "-" + variant->name;
  }
  cell.noise_sweep = plan.noise_sweep && config.train_noise == "clean" &&
                     config.test_noise == "clean" && !config.untrained;
  cell.folder = name;
  check(config);
  cell.command = command_of(config, options.out / cell.folder);
  return cell;
}

void sort_by_class(const SuiteOptions& options, std::vector<Cell>& cells) {
  const std::vector<std::string> classes = all_classes(options), presets = preset_names();
  const auto index_of = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) - names.begin();
  };
  const auto sort_key = [&](const Cell& cell) {
    const RunConfig& c = cell.config;
    return std::tuple(index_of(classes, c.object_class), index_of(presets, c.preset), c.train_noise,
                      c.test_noise, c.seed);
  };
  std::stable_sort(cells.begin(), cells.end(),
                   [&](const Cell& a, const Cell& b) { return sort_key(a) < sort_key(b); });
}

/// Whether two cells differ only in what follows the training, so that one serves both.
bool share_training(const Cell& a, const Cell& b) {
  const std::vector<std::string> changed = differences(a.config, b.config);
  return std::all_of(changed.begin(), changed.end(), [](const std::string& option) {
    return option == "test_noise" || option == "score";
  });
}

/// Gives each shard every N-th training, with all cells that share it.
void deal_out(const SuiteOptions& options, std::vector<Cell>& cells) {
  int next = 0;
  std::vector<int> shard(cells.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    size_t same = 0;
    while (same < i && !share_training(cells[same], cells[i])) ++same;
    shard[i] = same < i ? shard[same] : next++ % options.shards;
    cells[i].in_this_shard = shard[i] == options.shard - 1;
  }
}

/// Whether a finished cell of these options still lacks its sweep.
bool lacks_sweep(const SuiteOptions& options, const Cell& cell) {
  return cell.noise_sweep && !fs::exists(RunFolder(options.out / cell.folder).noise_sweep()) &&
         mismatch(options, cell).empty();
}

/// Copies the training of a finished cell that differs only in the test noise, since training again
/// gives the same bits. The checkpoint is copied last, so that after an interrupted copy the run
/// starts from the beginning.
void take_over_training(const SuiteOptions& options, const std::vector<Cell>& cells,
                        const Cell& cell) {
  const RunFolder to(options.out / cell.folder);
  if (!to.empty()) return;
  for (const Cell& other : cells) {
    const RunFolder from(options.out / other.folder);
    if (!share_training(other, cell) || !from.finished() || !refused_link(from.root()).empty() ||
        !mismatch(options, other).empty())
      continue;
    std::vector<std::pair<fs::path, std::vector<uint8_t>>> files;
    try {
      read_checked(from.checkpoint());
      for (const auto& [source, target] :
           {std::pair(from.split(), to.split()), std::pair(from.history(), to.history()),
            std::pair(from.checkpoint(), to.checkpoint())})
        files.emplace_back(target, read_bytes(source));
    } catch (const SystemError&) {
      throw;
    } catch (const Error&) {
      continue;  // damaged or missing files
    }
    to.create();
    save(cell.config, to.config());
    for (const auto& [target, bytes] : files)
      write_file(target, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return;
  }
}

}  // namespace

std::string mismatch(const SuiteOptions& options, const Cell& cell) {
  const RunFolder folder(options.out / cell.folder);
  if (!folder.finished()) return "";
  try {
    RunConfig found = as_evaluated(load_config(folder.config()), read_metrics(folder));
    // Machines that share a suite may have its data at different paths.
    if (data_name(found) == data_name(cell.config)) found.data = cell.config.data;
    const std::vector<std::string> changed = differences(found, cell.config);
    return changed.empty() ? "" : change_of(changed.front(), found, cell.config);
  } catch (const CheckpointError& damage) {
    return fmt::format("a damaged file ({})", damage.what());
  }
}

std::vector<Cell> cells_of(const SuiteOptions& options) {
  check_distinct("--classes", options.classes);
  check_distinct("--noise", options.noise);
  ASSAY_CHECK_AS(UsageError,
                 options.shards >= 1 && options.shard >= 1 && options.shard <= options.shards,
                 "--shard: {}/{} is not I/N with I from 1 to N", options.shard, options.shards);
  ASSAY_CHECK_AS(UsageError, options.seeds >= 0, "--seeds: {} is less than 0", options.seeds);
  ASSAY_CHECK_AS(UsageError, options.steps >= 0, "--steps: {} is less than 0", options.steps);
  ASSAY_CHECK_AS(UsageError, options.image_size >= 0, "--image-size: {} is less than 0",
                 options.image_size);
  check_classes(options.data, options.classes);
  for (const std::string& model : options.models) find_model(model);
  check_variants(options);
  std::vector<Cell> cells;
  for (const SuiteCells* plan : cells_in(options.profile)) {
    const std::string model = model_of_preset(plan->preset).name;
    if (!options.models.empty() &&
        std::find(options.models.begin(), options.models.end(), model) == options.models.end())
      continue;
    if (plan->on_request && options.models.empty()) continue;
    std::vector<std::string> conditions = plan->noise;
    if (!options.noise.empty() && has_option(model, "test_noise")) conditions = options.noise;
    const int seeds = options.seeds > 0 ? options.seeds : plan->seeds;
    for (const std::string& name : classes_of(options, *plan))
      for (int seed = 1; seed <= seeds; ++seed) {
        const auto of_seed = static_cast<uint64_t>(seed);
        for (const std::string& condition : conditions)
          cells.push_back(make_cell(options, *plan, name, of_seed, condition, nullptr));
        for (const SuiteVariant* variant : variants_of(options, *plan))
          cells.push_back(make_cell(options, *plan, name, of_seed, "clean/clean", variant));
      }
  }
  sort_by_class(options, cells);
  deal_out(options, cells);
  return cells;
}

std::vector<FailedCell> run_suite(
    const SuiteOptions& options,
    const std::function<TrainingHooks(const Cell&, const SuitePosition&)>& hooks_for) {
  const std::vector<Cell> cells = cells_of(options);
  std::vector<const Cell*> open;
  std::vector<FailedCell> failed;
  for (const Cell& cell : cells) {
    if (!cell.in_this_shard) continue;
    if (const std::string refused = refused_link(options.out / cell.folder); !refused.empty())
      failed.push_back({cell.folder, refused});
    else if (!RunFolder(options.out / cell.folder).finished() || lacks_sweep(options, cell))
      open.push_back(&cell);
    else if (const std::string other = mismatch(options, cell); !other.empty())
      failed.push_back(
          {cell.folder,
           fmt::format("the finished run there has {}; choose another --out, or remove that run",
                       other)});
  }
  Clock::time_point written;  // the first cell's results are written at once
  SuitePosition position{0, static_cast<int>(open.size())};
  for (const Cell* cell : open) {
    ++position.number;
    const TrainingHooks hooks = hooks_for(*cell, position);
    try {
      take_over_training(options, cells, *cell);
      const auto metrics =
          train_run(cell->config, RunFolder(options.out / cell->folder), Start::resume, hooks);
      const RunFolder folder(options.out / cell->folder);
      if (cell->noise_sweep) sweep_run(folder);
      hooks.say("finished: " + one_line(metrics));
    } catch (const Interrupted&) {
      throw Interrupted("interrupted; the same command goes on where this one stopped");
    } catch (const std::exception& e) {
      hooks.say(fmt::format("failed: {}", e.what()));
      failed.push_back({cell->folder, e.what()});
      continue;
    }
    // All pairs of groups are compared, which takes longer than the cells of a baseline.
    if (Clock::now() - written < kResultsInterval) continue;
    try {
      write_results(options.out);
    } catch (const std::exception& e) {
      hooks.say(e.what());  // they are written again later, and at the end
    }
    written = Clock::now();
  }
  std::map<std::string, std::string> reasons;
  for (const FailedCell& cell : failed) reasons[cell.folder.string()] = cell.reason;
  note_failed_runs(options.out, reasons);
  if (fs::is_directory(options.out)) write_results(options.out);
  return failed;
}

}  // namespace assay
