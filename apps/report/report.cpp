#include "apps/report/report.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/report/dcgan_section.h"
#include "apps/report/html.h"
#include "apps/report/svg.h"
#include "kernels/runtime/error.h"
#include "models/csv.h"
#include "models/evaluation/metrics.h"
#include "models/run_folder.h"

namespace assay {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

Json read_json(const fs::path& file) {
  std::ifstream in(file);
  try {
    return Json::parse(in);
  } catch (const Json::exception&) {
    throw DataError(str(file.string(), ": is no JSON; run the suite again to write it anew"));
  }
}

std::string number(const Json& value, int digits = 3) {
  if (value.is_null()) return "&ndash;";
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value.get<double>());
  return text;
}

std::string with_interval(const Json& value, const Json& interval) {
  if (interval.is_null()) return number(value);
  return str(number(value), " <span class=\"soft\">[", number(interval[0]), ", ",
             number(interval[1]), "]</span>");
}

/// A finished run as the report shows it.
struct Run {
  RunFolder folder;
  std::string command;
  Json metrics;

  std::string title() const {
    return str(metrics["class"].get<std::string>(), ", ", metrics["model"].get<std::string>(),
               ", seed ", metrics["seed"].get<uint64_t>());
  }
  bool synthetic() const { return metrics["synthetic"]; }
};

std::string heading_of(const Run& run) {
  return escape_html(run.title()) +
         (run.synthetic() ? " <span class=\"tag\">synthetic</span>" : "");
}

std::string class_cell(const Run& run) {
  return escape_html(run.metrics["class"].get<std::string>()) +
         (run.synthetic() ? " <span class=\"tag\">synthetic</span>" : "");
}

std::string answer_table(const std::vector<Run>& runs) {
  std::vector<std::vector<std::string>> rows;
  for (const Run& run : runs) {
    const Json& m = run.metrics;
    rows.push_back({class_cell(run), m["model"], std::to_string(m["seed"].get<uint64_t>()),
                    with_interval(m["image_auroc"], m["intervals"]["image_auroc"]),
                    with_interval(m["f1"], m["intervals"]["f1"]), number(m["f1_all_positive"]),
                    number(m["f1_max"])});
  }
  return html_table({"class", "model", "seed", "image AUROC [95 %]", "F1 [95 %]",
                     "F1, all called defective", "oracle F1"},
                    rows, 2);
}

/// One sentence for each run, by rule: what the interval of the AUROC and the F1 of calling
/// everything defective allow to be said.
std::string sentence_of(const Run& run) {
  const Json& m = run.metrics;
  const std::string who = str(escape_html(m["model"].get<std::string>()), " on ",
                              escape_html(m["class"].get<std::string>()));
  if (m["collapsed"]) return who + ": the run collapsed; its output is the same for every image.";
  const Json& interval = m["intervals"]["image_auroc"];
  if (interval.is_null()) return who + ": no AUROC, the test images are all of one kind.";
  const bool better_than_chance = interval[0].get<double>() > 0.5;
  std::string text = str(
      who,
      better_than_chance ? " tells defective from good images" : " can not be told from guessing",
      ": AUROC ", number(m["image_auroc"], 2), ", 95 % interval ", number(interval[0], 2), " to ",
      number(interval[1], 2), ". ");
  const double f1 = m["f1"].get<double>(), baseline = m["f1_all_positive"].get<double>();
  text += str("At the threshold from held-out good images it finds ", m["tp"].get<int>(), " of ",
              m["tp"].get<int>() + m["fn"].get<int>(), " defects with ", m["fp"].get<int>(),
              " false alarms in ", m["fp"].get<int>() + m["tn"].get<int>(), " good images (F1 ",
              number(m["f1"], 2), f1 > baseline ? ", above " : ", not above ",
              number(m["f1_all_positive"], 2), " of calling every image defective).");
  return text;
}

std::string part_table(const std::vector<Run>& runs) {
  std::vector<std::vector<std::string>> rows;
  for (const Run& run : runs) {
    const Json& m = run.metrics;
    std::string parts;
    for (const auto& [key, value] : m.items())
      if (key.rfind("auroc_", 0) == 0)
        parts += str(parts.empty() ? "" : ", ", escape_html(key.substr(6)), " ", number(value));
    rows.push_back({class_cell(run), m["model"], parts, number(m["image_ap"]), number(m["fpr95"]),
                    number(m["precision_score"]), number(m["recall"]),
                    number(m["balanced_accuracy"]), number(m["pixel_auroc"]), number(m["pixel_ap"]),
                    number(m["aupro"])});
  }
  return html_table(
      {"class", "model", "AUROC of each part alone", "AP", "FPR at 95 % TPR", "precision", "recall",
       "balanced accuracy", "pixel AUROC", "pixel AP", "AUPRO"},
      rows, 3);
}

std::string data_table(const std::vector<Run>& runs) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> seen;
  for (const Run& run : runs) {
    const std::string name = run.metrics["class"];
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
    seen.push_back(name);
    std::map<std::string, int> kinds;
    const CsvTable scores = read_csv(run.folder.scores());
    for (const auto& row : scores.rows) ++kinds[row[scores.column("defect")]];
    const int good = kinds["good"];
    kinds.erase("good");
    std::string defects;
    int defective = 0;
    for (const auto& [kind, count] : kinds) {
      defects += str(defects.empty() ? "" : ", ", escape_html(kind), " ", count);
      defective += count;
    }
    const Json& images = run.metrics["images"];
    rows.push_back({class_cell(run), defects, std::to_string(images["train"].get<int>()),
                    std::to_string(images["validation"].get<int>()), std::to_string(good),
                    std::to_string(defective)});
  }
  return html_table(
      {"class", "defects", "train", "validation (good)", "test good", "test defective"}, rows, 2);
}

std::vector<double> scores_where(const CsvTable& table, const std::string& column,
                                 const std::string& value) {
  const size_t which = table.column(column);
  const std::vector<double> all = table.numbers("score");
  std::vector<double> chosen;
  for (size_t i = 0; i < table.rows.size(); ++i)
    if (table.rows[i][which] == value) chosen.push_back(all[i]);
  return chosen;
}

std::string score_histogram(const Run& run, const CsvTable& test) {
  std::vector<Group> groups;
  if (fs::exists(run.folder.good_scores())) {
    const CsvTable good = read_csv(run.folder.good_scores());
    groups.push_back({"train", scores_where(good, "set", "train"), 3});
    groups.push_back({"validation", scores_where(good, "set", "validation"), 2});
  }
  groups.push_back({"test good", scores_where(test, "label", "good"), 0});
  groups.push_back({"test defective", scores_where(test, "label", "defective"), 1});
  return histogram({.title = "Scores by kind of image",
                    .x = {.title = "score s (deviations above held-out good images)"},
                    .y = {.title = "share of the images"}},
                   groups, run.metrics["threshold"]);
}

Series curve(const std::string& name, const std::vector<CurvePoint>& points, int colour) {
  Series series{name, {}, colour};
  for (const CurvePoint& p : points) series.points.emplace_back(p.x, p.y);
  return series;
}

/// Precision holds from one recall to the next, as average precision sums it.
Series stepped(Series series) {
  std::vector<std::pair<double, double>> steps;
  double recall = 0;
  for (const auto& [x, y] : series.points) {
    steps.emplace_back(recall, y);
    steps.emplace_back(x, y);
    recall = x;
  }
  series.points = std::move(steps);
  return series;
}

std::string curves(const CsvTable& test) {
  const std::vector<double> scores = test.numbers("score");
  std::vector<uint8_t> labels;
  for (const auto& row : test.rows) labels.push_back(row[test.column("label")] == "defective");
  const std::vector<Level> levels = rank_scores(scores, labels);
  return line_chart({.title = "ROC curve",
                     .x = {.title = "false positive rate"},
                     .y = {.title = "true positive rate"},
                     .x_high = 1,
                     .y_high = 1,
                     .diagonal = true},
                    {curve("score s", roc_curve(levels), 0)}) +
         line_chart({.title = "Precision and recall",
                     .x = {.title = "recall"},
                     .y = {.title = "precision"},
                     .x_high = 1,
                     .y_high = 1},
                    {stepped(curve("score s", pr_curve(levels), 0))});
}

std::string loss_chart(const Run& run) {
  Series train{"training", {}, 0}, validation{"validation", {}, 1};
  for (const EpochRecord& e : run.folder.read_history()) {
    train.points.emplace_back(e.epoch, e.train_loss);
    validation.points.emplace_back(e.epoch, e.validation_loss);
  }
  return line_chart({.title = "Loss",
                     .x = {.title = "epoch"},
                     .y = {.title = "mean squared error", .logarithmic = true}},
                    {train, validation});
}

std::string panels(const Run& run) {
  std::vector<fs::path> files;
  if (fs::exists(run.folder.figures()))
    for (const auto& entry : fs::directory_iterator(run.folder.figures()))
      if (entry.path().extension() == ".png") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string html;
  for (const fs::path& file : files)
    html += html_image(
        file, file.stem().string() + ": original, reconstruction, residual, overlay, ground truth");
  return html;
}

std::string section_of(const Run& run) {
  const CsvTable test = read_csv(run.folder.scores());
  std::string html = str("<h2>", heading_of(run), "</h2>\n");
  html += str("<p>", sentence_of(run), "</p>\n<div class=\"charts\">\n", score_histogram(run, test),
              curves(test), loss_chart(run), "</div>\n");
  const std::string pictures = panels(run);
  if (!pictures.empty())
    html += str("<h3>What the network sees</h3>\n<p class=\"soft\">The residual has one colour ",
                "scale for all images of this model, set on held-out good images; the mask is the ",
                "ground truth and was never used in training.</p>\n", pictures);
  return html;
}

/// The detectors: which found the defects best, on what, and how sure that is.
std::string answers(const std::vector<Run>& runs) {
  std::string body = answer_table(runs);
  for (const Run& run : runs) body += str("<p class=\"answer\">", sentence_of(run), "</p>\n");
  body +=
      "<p class=\"soft\">AUROC: how often a defective image scores above a good one. Intervals "
      "are 95 % bootstrap intervals over test images. F1 is at a threshold from held-out good "
      "images; it says little without the F1 of calling every image defective, beside it. The "
      "oracle F1 uses the best threshold on the test images themselves.</p>\n";
  body += "<h2>Data</h2>\n" + data_table(runs);
  body += "<h2>All metrics</h2>\n" + part_table(runs);
  for (const Run& run : runs) body += section_of(run);
  return body;
}

std::string command_table(const std::vector<Run>& runs) {
  std::vector<std::vector<std::string>> rows;
  for (const Run& run : runs) {
    const Json& m = run.metrics;
    rows.push_back({escape_html(run.title()), "<code>" + escape_html(run.command) + "</code>",
                    number(m["seconds_train"], 1), std::to_string(m["epochs"].get<int>()),
                    std::to_string(m["steps"].get<int64_t>()), m["device"], m["precision"]});
  }
  return html_table(
      {"run", "command", "seconds of training", "epochs", "steps", "device", "precision"}, rows, 2);
}

std::vector<Run> load_runs(const fs::path& root) {
  std::vector<Run> runs;
  for (const ReportCell& cell : finished_cells(root)) {
    const RunFolder folder(cell.folder);
    runs.push_back({folder, cell.command, read_json(folder.metrics())});
  }
  return runs;
}

}  // namespace

std::vector<ReportCell> finished_cells(const fs::path& root) {
  std::vector<ReportCell> cells;
  if (fs::exists(root / "results.json")) {
    const Json results = read_json(root / "results.json");
    for (const Json& cell : results["cells"]) {
      const RunFolder folder(root / cell["run"].get<std::string>());
      if (folder.finished()) cells.push_back({folder.root(), cell["command"]});
    }
    return cells;
  }
  std::vector<fs::path> folders = {root};
  if (fs::is_directory(root))
    for (const auto& entry : fs::directory_iterator(root))
      if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  for (const fs::path& folder : folders)
    if (RunFolder(folder).finished()) cells.push_back({folder, ""});
  return cells;
}

fs::path write_report(const fs::path& root) {
  const std::vector<Run> all = load_runs(root);
  ASSAY_CHECK_AS(DataError, !all.empty(), root.string(),
                 ": holds no finished run to report; train one, or run a suite into it");
  const bool synthetic =
      std::any_of(all.begin(), all.end(), [](const Run& run) { return run.synthetic(); });
  std::vector<Run> runs, generators;  // what judges pictures, and what makes some
  for (const Run& run : all) (run.metrics["model"] == "dcgan" ? generators : runs).push_back(run);

  std::string body = "<h1>Finding defects in pictures of products</h1>\n";
  if (synthetic)
    body +=
        "<p class=\"soft\">Rows marked <span class=\"tag\">synthetic</span> are of built-in, "
        "procedurally drawn pictures: they show that the machinery works, and say nothing about "
        "real products.</p>\n";
  if (!runs.empty()) body += answers(runs);
  for (const Run& run : generators) body += dcgan_section(heading_of(run), run.folder, run.metrics);
  body += "<h2>How to get these numbers again</h2>\n" + command_table(all);

  const fs::path file = root / "report" / "index.html";
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);  // write_file says what is wrong
  write_file(file, html_page("Assay: report", body));
  return file;
}

}  // namespace assay
