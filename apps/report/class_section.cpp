#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "apps/report/charts.h"
#include "apps/report/image_panels.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/evaluation/metrics.h"
#include "models/evaluation/statistics.h"
#include "models/experiments/registry.h"
#include "models/run/csv.h"
#include "models/run/history.h"

namespace assay {
namespace {

std::vector<double> scores_where(const CsvTable& table, const std::string& column,
                                 const std::string& value) {
  const size_t which = table.column(column);
  const std::vector<double> all = table.numbers("score");
  std::vector<double> chosen;
  for (size_t i = 0; i < table.rows.size(); ++i)
    if (table.rows[i][which] == value) chosen.push_back(all[i]);
  return chosen;
}

/// Histograms of scores by kind of image, as figure 4 of arXiv:2107.09204.
Html score_histograms(const RunResult& run) {
  const CsvTable test = read_csv(run.folder.scores());
  std::vector<Group> groups;
  if (std::filesystem::exists(run.folder.good_scores())) {
    const CsvTable good = read_csv(run.folder.good_scores());
    groups.push_back({"training", scores_where(good, "set", "train"), 3});
    groups.push_back({"held-out good", scores_where(good, "set", "validation"), 2});
  }
  groups.push_back({"test good", scores_where(test, "label", "good"), 1});
  groups.push_back({"test defective", scores_where(test, "label", "defective"), 0});
  const double threshold = run.detector()->threshold;
  double max = threshold;
  for (const Group& g : groups)
    for (const double v : g.values) max = std::max(max, v);
  const ReportText& text = find_model(run.config.model).report;
  Axis axis{.title = "score: " + text.score};
  if (text.score_is_probability)
    axis.high = 1;
  else if (max > 5 * threshold)
    axis.kind = ScaleKind::symmetric;
  return histograms("Scores by kind of image", axis, groups, threshold);
}

/// ROC and precision-recall curves of all models of a class.
struct Curves {
  std::vector<Series> roc, pr;
};

Curves curves_of(const ClassFindings& c) {
  Curves curves;
  std::map<int, int> of_colour;
  for (const SeedGroup* group : c.compared) {
    const CsvTable test = read_csv(group->runs.front()->folder.scores());
    const std::vector<double> scores = test.numbers("score");
    std::vector<uint8_t> labels;
    for (const auto& row : test.rows) labels.push_back(row[test.column("label")] == "defective");
    const std::vector<Level> levels = rank_scores(scores, labels);
    const int colour = colour_of(group->config().model);
    const Series line{
        .name = name_of_group(*group), .points = {}, .colour = colour, .dash = of_colour[colour]++};
    Series &roc = curves.roc.emplace_back(line), &pr = curves.pr.emplace_back(line);
    for (const CurvePoint& p : roc_curve(levels)) roc.points.emplace_back(p.x, p.y);
    double recall = 0;  // precision holds from one recall to the next, as average precision sums it
    for (const CurvePoint& p : pr_curve(levels)) {
      pr.points.emplace_back(recall, p.y);
      pr.points.emplace_back(p.x, p.y);
      recall = p.x;
    }
  }
  return curves;
}

Html curve_charts(const ClassFindings& c) {
  const Curves curves = curves_of(c);
  const Html charts = line_chart({.title = "ROC: " + c.name,
                                  .x = {.title = "false positive rate", .high = 1},
                                  .y = {.title = "true positive rate", .high = 1},
                                  .diagonal = true},
                                 curves.roc) +
                      line_chart({.title = "Precision and recall: " + c.name,
                                  .x = {.title = "recall", .high = 1},
                                  .y = {.title = "precision", .high = 1}},
                                 curves.pr);
  return beside(charts);
}

/// Losses of a column by epoch: the only training's, or the median of several with the band from
/// the least to the largest. A fold that stopped early has no part in later epochs.
Series loss_series(const std::vector<History>& histories, const char* column,
                   const std::string& name, int colour) {
  std::map<double, std::vector<double>> by_epoch;
  for (const History& history : histories) {
    const std::vector<double> epochs = history.column("epoch"), losses = history.column(column);
    for (size_t i = 0; i < epochs.size(); ++i)
      if (std::isfinite(losses[i])) by_epoch[epochs[i]].push_back(losses[i]);
  }
  Series series{.name = name, .points = {}, .colour = colour};
  for (auto& [epoch, losses] : by_epoch) {
    std::sort(losses.begin(), losses.end());
    series.points.emplace_back(epoch, percentile_of_sorted(losses, 50));
    if (histories.size() > 1) series.band.push_back({epoch, losses.front(), losses.back()});
  }
  return series;
}

/// Training and validation loss; of several folds the median and the band.
Html loss_chart(const RunResult& run) {
  const ModelSpec& model = find_model(run.config.model);
  std::vector<History> histories;
  for (const RunFolder& folder : training_folders(run.config, run.folder))
    histories.push_back(History::read(folder.history()));
  const std::vector<Series> losses = {loss_series(histories, "train_loss", "training", 1),
                                      loss_series(histories, "validation_loss", "held out", 0)};
  if (losses.front().points.size() < 2) return {};  // learnt in one pass
  const bool folds = model.learns_from_defects;
  Chart chart{.title = folds ? fmt::format("Loss of the {} folds: median, least to largest",
                                           histories.size())
                             : "Loss",
              .x = {.title = "epoch"},
              .y = {.title = model.report.loss, .kind = ScaleKind::logarithmic}};
  if (const int64_t best = run.detector()->best_epoch; !folds && best > 0)
    chart.mark = {static_cast<double>(best), fmt::format("best epoch {}", best)};
  return line_chart(chart, losses);
}

/// For each kind of defect: images that a model calls defective, and all images.
std::map<std::string, std::pair<int64_t, int64_t>> found_by_kind(const RunResult& run) {
  const CsvTable scores = read_csv(run.folder.scores());
  const size_t defect = scores.column("defect"), predicted = scores.column("predicted");
  std::map<std::string, std::pair<int64_t, int64_t>> kinds;
  for (const auto& row : scores.rows) {
    auto& [found, all] = kinds[row[defect]];
    found += row[predicted] == "defective";
    ++all;
  }
  return kinds;
}

Html kinds_table(const ClassFindings& c) {
  std::vector<std::map<std::string, std::pair<int64_t, int64_t>>> found;
  std::set<std::string> kinds;
  for (const SeedGroup* group : c.compared) {
    found.push_back(found_by_kind(*group->runs.front()));
    for (const auto& [kind, counts] : found.back()) kinds.insert(kind);
  }
  std::vector<std::string> order(kinds.begin(), kinds.end());
  std::stable_partition(order.begin(), order.end(),
                        [](const std::string& kind) { return kind != "good"; });
  std::vector<std::string> titles = {"model"};
  for (const std::string& kind : order)
    titles.push_back(kind == "good" ? "good (false alarms)" : kind);
  Table table(titles);
  for (size_t i = 0; i < found.size(); ++i) {
    std::vector<Html> cells = {name_of_group(*c.compared[i])};
    for (const std::string& kind : order) {
      const auto counts = found[i].find(kind);
      cells.push_back(counts == found[i].end()
                          ? kNone
                          : fmt::format("{} of {}", counts->second.first, counts->second.second));
    }
    table.row(cells);
  }
  return table.html();
}

/// The first run with noisy test images, preferably with noisy training images too.
const RunResult* noisy_run(const ClassFindings& c) {
  const RunResult* found = nullptr;
  for (const SeedGroup* group : c.groups) {
    const RunConfig& config = group->config();
    if (config.test_noise != "noisy") continue;
    if (found == nullptr || (config.train_noise == "noisy" && found->config.train_noise != "noisy"))
      found = group->runs.front();
  }
  return found;
}

void add_model(Page& page, const SeedGroup& group, size_t max_panels) {
  const RunResult& run = *group.runs.front();
  page.add(markup("<h4>{}, seed {}</h4>\n", name_of_group(group), run.config.seed));
  const DetectorMetrics& m = *run.detector();
  if (!m.threshold_rule.empty())
    page.add(
        paragraph(fmt::format("Threshold {}: {}. It calls {} of {} good test images defective.",
                              decimal(m.threshold, 2), m.threshold_rule, m.fp, m.good_images()),
                  "soft"));
  if (!m.why_no_pixel_metrics.empty())
    page.add(paragraph(fmt::format("No pixel metrics: {}.", m.why_no_pixel_metrics), "soft"));
  page.add(beside(score_histograms(run) + loss_chart(run)));
  page.add(panels_of(run, max_panels));
  page.add(strips_of(run));
}

void add_class(Page& page, const ClassFindings& c, size_t max_panels) {
  page.subsection("class-" + c.id, c.name + synthetic_tag(c.synthetic), c.name);
  page.add(paragraph(verdict_text(c)));
  page.add(curve_charts(c));
  page.add(paragraph("Defects that each model finds at its threshold, by kind:"));
  page.add(kinds_table(c));
  for (const SeedGroup* group : c.compared) add_model(page, *group, max_panels);
  if (const RunResult* noisy = noisy_run(c)) {
    constexpr size_t kMost = 3;
    const Html panels = noise_panels_of(*noisy, kMost);
    if (!panels.empty())
      page.add(markup("<h4>What noise does to {}</h4>\n{}",
                      model_name(noisy->config.model, noisy->config.preset), panels));
  }
}

}  // namespace

void add_classes(Page& page, const Findings& findings) {
  if (findings.groups.empty()) return;
  page.section("classes", "Class by class");
  const bool several = std::any_of(findings.groups.begin(), findings.groups.end(),
                                   [](const SeedGroup& g) { return g.runs.size() > 1; });
  if (several)
    page.add(
        paragraph("Charts and images are of the first seed of each model; the tables above "
                  "have all.",
                  "soft"));
  size_t pairs = 0;
  for (const ClassFindings& c : findings.classes) pairs += c.compared.size();
  // Fewer panels per run if there are many runs, so that the page has a few MB.
  const size_t max_panels = std::clamp<size_t>(90 / std::max<size_t>(pairs, 1), 3, 8);
  for (const ClassFindings& c : findings.classes)
    if (!c.compared.empty()) add_class(page, c, max_panels);
}

}  // namespace assay
