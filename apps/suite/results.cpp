#include "apps/suite/results.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "kernels/runtime/error.h"
#include "models/evaluation/metrics.h"
#include "models/experiments/configure.h"
#include "models/experiments/noise_sweep.h"
#include "models/experiments/registry.h"
#include "models/run/csv.h"
#include "models/run/history.h"
#include "models/run/reader.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFailures = "failures.json";

/// `root` and its subfolders, without symbolic links.
std::vector<fs::path> folders_of(const fs::path& root) {
  std::vector<fs::path> folders = {root};
  if (fs::is_directory(root))
    for (const auto& entry : fs::directory_iterator(root))
      if (entry.is_directory() && !entry.is_symlink()) folders.push_back(entry.path());
  return folders;
}

/// Sort key of a run. Presets are in the order of the registry.
auto place_of(const RunConfig& c) {
  const std::vector<std::string> all = preset_names();
  const auto at = std::find(all.begin(), all.end(), c.preset);
  return std::tuple(data_name(c), c.object_class, at - all.begin(), c.untrained, c.train_noise,
                    c.test_noise, c.seed);
}

bool differ_in_seed_alone(const RunConfig& a, RunConfig b) {
  b.seed = a.seed;
  if (data_name(a) == data_name(b)) b.data = a.data;
  b.split_file = a.split_file;  // each seed may have a split of its own
  return differences(a, b).empty();
}

/// Whether a run is a copy of another, which must not count as a second seed.
bool is_copy(const RunResult& a, const RunResult& b) {
  return a.config.seed == b.config.seed && differ_in_seed_alone(a.config, b.config) &&
         a.metrics == b.metrics;
}

std::string label_of(const RunConfig& c) {
  const bool clean = c.train_noise == "clean" && c.test_noise == "clean";
  return c.preset + (c.untrained ? ", untrained" : "") +
         (clean ? "" : ", " + c.train_noise + "/" + c.test_noise);
}

/// If several groups of a class have one label, adds those options in which they differ whose value
/// is not the preset's.
void disambiguate(std::vector<SeedGroup>& groups) {
  const std::vector<SeedGroup> before = groups;
  for (size_t i = 0; i < groups.size(); ++i) {
    const RunConfig& own = before[i].config();
    std::set<std::string> options;
    for (const SeedGroup& other : before) {
      if (other.label != before[i].label || other.config().object_class != own.object_class ||
          data_name(other.config()) != data_name(own))
        continue;
      for (const std::string& option : differences(own, other.config()))
        if (option != "seed" && option != "split_file" && option != "data") options.insert(option);
    }
    if (options.empty()) continue;
    const nlohmann::json values = json_of(own);
    for (const std::string& option : differences(default_config(own.model, own.preset), own)) {
      if (!options.contains(option)) continue;
      const nlohmann::json& value = values.at(option);
      std::string name = option;
      std::replace(name.begin(), name.end(), '_', '-');
      groups[i].label += ", " + name;
      if (value != true)
        groups[i].label += " " + (value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}

/// Score and label (true = defective) of each image of a run, by path.
std::map<std::string, std::pair<double, bool>> scores_of(const RunResult& run) {
  const CsvTable table = read_csv(run.folder.scores());
  const std::vector<double> scores = table.numbers("score");
  const size_t path = table.column("path"), label = table.column("label");
  std::map<std::string, std::pair<double, bool>> by_path;
  for (size_t i = 0; i < table.rows.size(); ++i)
    by_path[table.rows[i][path]] = {scores[i], table.rows[i][label] == "defective"};
  return by_path;
}

/// Numbers the images of several runs by their paths.
class ImageNumbers {
 public:
  uint32_t operator()(const std::string& path) {
    return numbers_.try_emplace(path, static_cast<uint32_t>(numbers_.size())).first->second;
  }

 private:
  std::map<std::string, uint32_t> numbers_;
};

/// The scores of a run, owned.
struct RunScores {
  std::vector<double> scores;
  std::vector<uint8_t> defective;
  std::vector<uint32_t> image;
  double threshold;

  void add(double score, bool is_defective, uint32_t number) {
    scores.push_back(score);
    defective.push_back(is_defective);
    image.push_back(number);
  }
  operator ScoredImages() const { return {scores, defective, threshold, image}; }
};

std::vector<ScoredImages> views_of(const std::vector<RunScores>& runs) {
  return {runs.begin(), runs.end()};
}

/// The images that both runs have scored.
std::pair<RunScores, RunScores> common_images(const RunResult& first, const RunResult& second,
                                              ImageNumbers& number_of) {
  std::pair<RunScores, RunScores> common = {{{}, {}, {}, first.detector()->threshold},
                                            {{}, {}, {}, second.detector()->threshold}};
  const auto others = scores_of(second);
  for (const auto& [path, scored] : scores_of(first)) {
    const auto other = others.find(path);
    if (other == others.end()) continue;
    const uint32_t number = number_of(path);
    common.first.add(scored.first, scored.second, number);
    common.second.add(other->second.first, scored.second, number);
  }
  return common;
}

Json difference_json(const Difference& d) {
  return {{"estimate", d.estimate},
          {"interval", {d.interval.low, d.interval.high}},
          {"interval_90", {d.interval90.low, d.interval90.high}}};
}

std::string text_of(const std::optional<double>& value) {
  return value ? fmt::format("{:.3f}", *value) : "-";
}

std::string text_of(const std::optional<SeedSummary>& summary) {
  if (!summary) return "-";
  return text_of(summary->mean) + (summary->deviation ? " +- " + text_of(summary->deviation) : "");
}

/// Pads text to a column, with at least one space after it.
std::string padded(const std::string& text, size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
}

/// A column of results.csv: its name and its value for a run; null is an empty field.
struct Column {
  const char* name;
  std::function<Json(const RunResult&)> value;
};

template <class Value>
Column common_column(const char* name, Value CommonMetrics::*value) {
  return {name, [value](const RunResult& run) { return Json(run.common().*value); }};
}

Column detector_column(const char* name, const Metric& metric) {
  return {name, [metric](const RunResult& run) {
            return run.detector() ? json_of(metric(*run.detector())) : Json(nullptr);
          }};
}

std::vector<Column> csv_columns() {
  return {common_column("model", &CommonMetrics::model),
          common_column("preset", &CommonMetrics::preset),
          common_column("class", &CommonMetrics::object_class),
          common_column("seed", &CommonMetrics::seed),
          detector_column("image_auroc", &DetectorMetrics::image_auroc),
          detector_column("image_ap", &DetectorMetrics::image_ap),
          detector_column("f1", &DetectorMetrics::f1),
          detector_column("f1_all_positive", &DetectorMetrics::f1_all_positive),
          detector_column("f1_max", &DetectorMetrics::f1_max),
          detector_column("threshold", &DetectorMetrics::threshold),
          detector_column("fpr95", &DetectorMetrics::fpr95),
          detector_column("pixel_auroc", &DetectorMetrics::pixel_auroc),
          detector_column("aupro", &DetectorMetrics::aupro),
          common_column("collapsed", &CommonMetrics::has_collapsed),
          common_column("seconds_train", &CommonMetrics::seconds_train),
          {"train_noise", [](const RunResult& run) { return Json(run.config.train_noise); }},
          {"test_noise", [](const RunResult& run) { return Json(run.config.test_noise); }}};
}

std::string csv_of(const std::vector<RunResult>& runs) {
  const std::vector<Column> columns = csv_columns();
  std::vector<std::string> header;
  for (const Column& column : columns) header.push_back(column.name);
  std::string csv = csv_row(header);
  for (const RunResult& run : runs) {
    std::vector<std::string> row;
    for (const Column& column : columns) {
      const Json value = column.value(run);
      row.push_back(value.is_string() ? value.get<std::string>()
                    : value.is_null() ? ""
                                      : value.dump());
    }
    csv += csv_row(row);
  }
  return csv;
}

/// " && assay evaluate ..." if a later evaluation changed the data or the noise.
std::string command_of_evaluation(const RunFolder& folder, const RunConfig& started,
                                  const RunConfig& evaluated) {
  if (differences(started, evaluated).empty()) return "";
  std::string command = " && assay evaluate " + quoted(folder.root().string());
  if (evaluated.test_noise != started.test_noise)
    command += " --test-noise " + quoted(evaluated.test_noise);
  if (evaluated.data != started.data) command += " --data " + quoted(evaluated.data);
  if (evaluated.precision != started.precision)
    command += " --precision " + quoted(evaluated.precision);
  return command;
}

/// CheckpointError unless a table of scores has all that is read of it.
void check_scores(const fs::path& file) {
  const CsvTable table = read_csv(file);
  ASSAY_CHECK_AS(CheckpointError, !table.rows.empty(), "{}: names no image", file.string());
  for (const char* name : {"path", "defect", "set"}) table.column(name);
  table.numbers("score");
  for (const char* name : {"label", "predicted"})
    for (const size_t column = table.column(name); const auto& row : table.rows)
      ASSAY_CHECK_AS(CheckpointError, row[column] == "good" || row[column] == "defective",
                     "{}: {} '{:.40}' is neither good nor defective", file.string(), name,
                     row[column]);
}

/// Reads every table of a run that a report needs, so that a damaged one excludes only this run.
/// CheckpointError.
void check_tables(const RunResult& run) {
  const RunFolder& folder = run.folder;
  try {
    if (run.detector()) {
      check_scores(folder.scores());
      if (run.detector()->calibration)
        for (const auto& component : run.detector()->calibration->components)
          read_csv(folder.scores()).numbers(component.name);
      read_noise_sweep(folder);
    }
    if (is_there(folder.good_scores())) check_scores(folder.good_scores());
  } catch (const CheckpointError& error) {
    throw CheckpointError(
        fmt::format("{}; run assay evaluate {}", error.what(), quoted(folder.root().string())));
  }
  const ModelSpec& model = find_model(run.config.model);
  for (const RunFolder& training : training_folders(run.config, folder)) {
    const History history = History::read(training.history());
    for (const std::string& column : model.history_columns) history.column(column);
  }
}

RunResult read_run(const fs::path& path) {
  const RunFolder folder(path);
  const RunConfig started = load_config(folder.config());
  RunMetrics metrics = read_metrics(folder);
  const RunConfig evaluated = as_evaluated(started, metrics);
  RunResult run = {folder, evaluated,
                   command_of(started, path) + command_of_evaluation(folder, started, evaluated),
                   std::move(metrics)};
  check_tables(run);
  return run;
}

/// What note_failed_runs() has written and no run has mended since. CheckpointError if damaged.
std::map<std::string, std::string> noted_failures(const fs::path& root) {
  std::map<std::string, std::string> failed;
  if (!is_there(root / kFailures)) return failed;
  const Json json = read_run_json(root / kFailures);
  for (const auto& [name, reason] : json.items())
    if (reason.is_string() && !RunFolder(root / name).finished()) failed[name] = reason;
  return failed;
}

}  // namespace

RunConfig as_evaluated(RunConfig config, const RunMetrics& metrics) {
  if (const auto* detector = std::get_if<DetectorMetrics>(&metrics))
    config.test_noise = detector->test_noise;
  config.data = common_metrics(metrics).data;
  config.precision = common_metrics(metrics).precision;
  return config;
}

std::string refused_link(const fs::path& run) {
  std::error_code ignored;
  if (!fs::is_symlink(run, ignored)) return "";
  return fmt::format("{} is a symbolic link, which is not followed; copy the run in its place",
                     run.string());
}

std::vector<RunResult> finished_runs(const fs::path& root) {
  std::vector<RunResult> runs;
  std::optional<CheckpointError> damage;
  for (const fs::path& path : folders_of(root)) {
    if (!RunFolder(path).finished()) continue;
    try {
      runs.push_back(read_run(path));
    } catch (const CheckpointError& error) {
      damage = error;
    }
  }
  if (runs.empty() && damage) throw *damage;
  std::sort(runs.begin(), runs.end(), [](const RunResult& a, const RunResult& b) {
    return std::tuple(place_of(a.config), a.folder.root()) <
           std::tuple(place_of(b.config), b.folder.root());
  });
  std::vector<RunResult> distinct;
  for (RunResult& run : runs)
    if (std::none_of(distinct.begin(), distinct.end(),
                     [&](const RunResult& other) { return is_copy(run, other); }))
      distinct.push_back(std::move(run));
  return distinct;
}

std::map<std::string, std::string> failed_runs(const fs::path& root) {
  std::map<std::string, std::string> failed;
  try {
    failed = noted_failures(root);
  } catch (const CheckpointError& damage) {
    failed[kFailures] = damage.what();
  }
  if (fs::is_directory(root))
    for (const auto& entry : fs::directory_iterator(root))
      if (is_there(RunFolder(entry.path()).config()))
        if (const std::string refused = refused_link(entry.path()); !refused.empty())
          failed[entry.path().filename().string()] = refused;
  for (const fs::path& path : folders_of(root)) {
    if (!RunFolder(path).finished()) continue;
    try {
      read_run(path);
    } catch (const CheckpointError& damage) {
      failed[path.filename().string()] = damage.what();
    }
  }
  return failed;
}

void note_failed_runs(const fs::path& root, const std::map<std::string, std::string>& failed) {
  std::map<std::string, std::string> all;
  try {
    all = noted_failures(root);
  } catch (const CheckpointError&) {  // a damaged list is written anew
  }
  for (const auto& [name, reason] : failed) all[name] = reason;
  std::error_code ignored;
  if (all.empty()) {
    fs::remove(root / kFailures, ignored);
    return;
  }
  fs::create_directories(root, ignored);  // write_file reports the error
  write_file(root / kFailures, Json(all).dump(2) + "\n");
}

std::string table_of(const std::vector<RunResult>& runs) {
  std::string table = padded("class", 12) + padded("model", 26) + padded("seeds", 7) +
                      padded("image AUROC", 15) + padded("95 % interval", 15) + padded("F1", 15) +
                      "all defective\n";
  for (const SeedGroup& group : seed_groups(runs)) {
    const auto sure = group.estimate(ScoreMetric::auroc);
    const auto all = group.summary(&DetectorMetrics::f1_all_positive);
    table += padded(group.config().object_class, 12) + padded(group.label, 26) +
             padded(std::to_string(group.runs.size()), 7) +
             padded(text_of(group.summary(&DetectorMetrics::image_auroc)), 15) +
             padded(sure ? fmt::format("{} {}", text_of(sure->interval.low),
                                       text_of(sure->interval.high))
                         : "-",
                    15) +
             padded(text_of(group.summary(&DetectorMetrics::f1)), 15) +
             (all ? text_of(all->mean) : "-") + "\n";
  }
  for (const RunResult& run : runs)
    if (run.generator())
      table += padded(run.config.object_class, 12) + padded(run.config.preset, 26) +
               padded(fmt::format("seed {}", run.config.seed), 7) + one_line(run.metrics) + "\n";
  return table;
}

std::string collapse_text(const RunResult& run) {
  if (!run.common().has_collapsed) return "";
  return fmt::format("{} collapsed: {}", run.folder.root().filename().string(),
                     find_model(run.config.model).collapse_hint);
}

std::vector<fs::path> unfinished_runs(const fs::path& root) {
  std::vector<fs::path> folders = folders_of(root);
  std::erase_if(folders, [](const fs::path& path) {
    std::error_code ignored;
    return !fs::exists(RunFolder(path).config(), ignored) || RunFolder(path).finished();
  });
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::optional<SeedSummary> SeedGroup::summary(const Metric& metric) const {
  std::vector<double> values;
  for (const RunResult* run : runs)
    if (const auto value = metric(*run->detector())) values.push_back(*value);
  if (values.empty()) return std::nullopt;
  return summarize_seeds(values);
}

std::optional<Estimate> SeedGroup::estimate(ScoreMetric metric) const {
  ImageNumbers number_of;
  std::vector<RunScores> all;
  for (const RunResult* run : runs) {
    RunScores& own = all.emplace_back(RunScores{{}, {}, {}, run->detector()->threshold});
    for (const auto& [path, scored] : scores_of(*run))
      own.add(scored.first, scored.second, number_of(path));
  }
  return assay::estimate(metric, views_of(all));
}

std::optional<Estimate> SeedGroup::pixel_estimate() const {
  std::vector<PixelValue> seeds;
  for (const RunResult* run : runs) {
    const DetectorMetrics& m = *run->detector();
    if (!m.pixel_auroc || !m.pixel_auroc_error) return std::nullopt;
    seeds.push_back({*m.pixel_auroc, *m.pixel_auroc_error, *m.pixel_auroc_degrees});
  }
  return assay::pixel_estimate(seeds, first().defective_images());
}

std::vector<SeedGroup> seed_groups(const std::vector<RunResult>& runs) {
  std::vector<SeedGroup> groups;
  for (const RunResult& run : runs) {
    if (!run.detector()) continue;
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const SeedGroup& group) {
      return differ_in_seed_alone(group.config(), run.config);
    });
    if (same == groups.end()) {
      groups.push_back({{&run}, label_of(run.config)});
    } else {
      same->runs.push_back(&run);
    }
  }
  disambiguate(groups);
  return groups;
}

std::optional<GroupDifference> difference_of(const SeedGroup& first, const SeedGroup& second) {
  GroupDifference result{.first = &first, .second = &second, .auroc = {}, .f1 = {}};
  ImageNumbers number_of;
  std::vector<RunScores> of_first, of_second;
  for (const RunResult* a : first.runs)
    for (const RunResult* b : second.runs) {
      if (a->config.seed != b->config.seed) continue;
      auto [mine, other] = common_images(*a, *b, number_of);
      const auto defective = std::count(mine.defective.begin(), mine.defective.end(), 1);
      const int64_t good = static_cast<int64_t>(mine.defective.size()) - defective;
      if (defective == 0 || good == 0) continue;
      if (result.seeds == 0) {
        result.defective = defective;
        result.good = good;
      }
      ++result.seeds;
      const double auroc_a = *auroc(rank_scores(mine.scores, mine.defective));
      const double auroc_b = *auroc(rank_scores(other.scores, other.defective));
      result.seeds_ahead += auroc_a > auroc_b;
      result.first_auroc += auroc_a;
      result.second_auroc += auroc_b;
      of_first.push_back(std::move(mine));
      of_second.push_back(std::move(other));
    }
  if (result.seeds == 0) return std::nullopt;
  result.auroc = *difference(ScoreMetric::auroc, views_of(of_first), views_of(of_second));
  result.f1 = *difference(ScoreMetric::f1, views_of(of_first), views_of(of_second));
  result.first_auroc /= static_cast<double>(result.seeds);
  result.second_auroc /= static_cast<double>(result.seeds);
  return result;
}

Json write_results(const fs::path& root) {
  const std::vector<RunResult> runs = finished_runs(root);
  const std::vector<SeedGroup> groups = seed_groups(runs);
  Json json = {{"cells", Json::array()}, {"seeds", Json::array()}, {"differences", Json::array()}};
  for (const RunResult& run : runs)
    json["cells"].push_back({{"run", run.folder.root().filename().string()},
                             {"command", run.command},
                             {"metrics", json_of(run.metrics)}});
  for (const SeedGroup& group : groups) {
    json["seeds"].push_back({{"class", group.config().object_class},
                             {"model", group.label},
                             {"seeds", group.runs.size()},
                             {"image_auroc", json_of(group.summary(&DetectorMetrics::image_auroc))},
                             {"f1", json_of(group.summary(&DetectorMetrics::f1))},
                             {"pixel_auroc", json_of(group.summary(&DetectorMetrics::pixel_auroc))},
                             {"aupro", json_of(group.summary(&DetectorMetrics::aupro))}});
  }
  for (size_t i = 0; i < groups.size(); ++i)
    for (size_t j = i + 1; j < groups.size(); ++j) {
      const RunConfig &a = groups[i].config(), &b = groups[j].config();
      if (a.object_class != b.object_class || data_name(a) != data_name(b)) continue;
      const auto d = difference_of(groups[i], groups[j]);
      if (!d) continue;
      json["differences"].push_back({{"class", a.object_class},
                                     {"first", groups[i].label},
                                     {"second", groups[j].label},
                                     {"images", d->good + d->defective},
                                     {"seeds", d->seeds},
                                     {"image_auroc", difference_json(d->auroc)},
                                     {"f1", difference_json(d->f1)}});
    }
  json["failed"] = failed_runs(root);
  write_file(root / "results.json", json.dump(2) + "\n");
  write_file(root / "results.csv", csv_of(runs));
  return json;
}

}  // namespace assay
