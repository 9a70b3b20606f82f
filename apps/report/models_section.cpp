#include <algorithm>
#include <set>

#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "apps/report/training_gain.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"
#include "models/experiments/study.h"

namespace assay {
namespace {

/// "0.884 (0.750)": F1, and in brackets that of calling every image defective.
Html f1_text(const SeedGroup& group, const Metric& metric = &DetectorMetrics::f1) {
  return markup("{} <small>({})</small>", summary_text(group.summary(metric)),
                mean_text(group.summary(&DetectorMetrics::f1_all_positive)));
}

std::optional<double> f1_percentile99(const DetectorMetrics& m) {
  return m.calibration ? m.calibration->f1_percentile99 : std::nullopt;
}

std::vector<std::pair<const ClassFindings*, const SeedGroup*>> groups_of(const Findings& findings,
                                                                         const std::string& model) {
  std::vector<std::pair<const ClassFindings*, const SeedGroup*>> found;
  for (const ClassFindings& c : findings.classes)
    for (const SeedGroup* group : c.groups)
      if (group->config().model == model) found.emplace_back(&c, group);
  return found;
}

void add_by_class(Page& page, const Findings& findings, const ModelSpec& model) {
  const auto groups = groups_of(findings, model.name);
  const ReportText::ByClass& text = model.report.by_class;
  if (groups.empty() || text.title.empty()) return;
  page.subsection(model.name, text.title, text.short_title);
  std::vector<std::string> titles = {"model", "seeds", "AUROC of the score"};
  for (const auto& [component, title] : text.components) titles.push_back(title);
  titles.insert(titles.end(), {"F1 (all defective)", "F1 at percentile 99"});
  Table table(titles);
  const ClassFindings* of_class = nullptr;
  for (const auto& [c, group] : groups) {
    if (c != of_class) {
      of_class = c;
      table.group(class_link(*c));
    }
    std::vector<Html> cells = {name_of_group(*group), std::to_string(group->runs.size()),
                               summary_text(group->summary(&DetectorMetrics::image_auroc))};
    for (const auto& component : text.components)
      cells.push_back(summary_text(group->summary(
          [&](const DetectorMetrics& m) { return m.component_auroc(component.first); })));
    cells.insert(cells.end(), {f1_text(*group), f1_text(*group, f1_percentile99)});
    table.row(cells);
  }
  page.add(table.html());
  page.add(paragraph(text.note, "soft"));
}

/// The published result of the class, by its name; kNone for synthetic data.
std::string published(const std::map<std::string, std::string>& by_class, const ClassFindings& c) {
  const auto found = by_class.find(c.name);
  return c.synthetic || found == by_class.end() ? kNone : found->second;
}

/// The drop of F1 by noise that the study prints, of its own classes alone.
std::string published_drop(const std::string& model, const ClassFindings& c) {
  const auto percent = c.synthetic ? std::nullopt : published_noise_drop(model, c.name);
  return percent ? decimal(*percent, 2) + " %" : kNone;
}

Html difference_cells(const SeedGroup& clean, const SeedGroup& noisy) {
  const auto d = difference_of(noisy, clean);
  if (!d) return kNone;
  return markup("{} <small>{}</small>", decimal(d->auroc.estimate, 3),
                interval_text(d->auroc.interval));
}

void add_noise_rows(Table& table, const ClassFindings& c, const std::string& model) {
  for (const SeedGroup* group : c.groups) {
    const RunConfig& config = group->config();
    if (config.model != model || config.untrained) continue;
    const bool both =
        config.train_noise == "noisy" && config.test_noise == "noisy" && has_noise_of_study(config);
    const SeedGroup* clean = group->clean() ? nullptr : clean_partner(c, *group);
    std::string drop = kNone;
    if (clean != nullptr)
      if (const auto a = clean->summary(&DetectorMetrics::f1),
          b = group->summary(&DetectorMetrics::f1);
          a && b && a->mean > 0)
        drop = decimal(100 * (a->mean - b->mean) / a->mean, 1) + " %";
    table.row({name_of_group(*group), summary_text(group->summary(&DetectorMetrics::image_auroc)),
               clean == nullptr ? Html(kNone) : difference_cells(*clean, *group), f1_text(*group),
               drop, both ? published_drop(model, c) : kNone});
  }
}

void add_noise(Page& page, const Findings& findings) {
  std::vector<const ModelSpec*> models = models_of(findings);
  std::stable_partition(models.begin(), models.end(),
                        [](const ModelSpec* m) { return m->report.noise_is_studied; });
  std::vector<std::pair<const ClassFindings*, std::string>> with_noise;
  for (const ClassFindings& c : findings.classes)
    for (const ModelSpec* model : models)
      if (std::any_of(c.groups.begin(), c.groups.end(), [&](const SeedGroup* g) {
            return g->config().model == model->name &&
                   (!g->clean() || model->report.noise_is_studied);
          }))
        with_noise.emplace_back(&c, model->name);
  if (with_noise.empty()) return;
  page.subsection("noise", "With and without noise (table 3 of the study)", "Noise");
  Table table({"model, noise in training/test", "AUROC", "against clean", "F1 (all defective)",
               "F1 drop", "F1 drop in the study"});
  const ClassFindings* of_class = nullptr;
  for (const auto& [c, model] : with_noise) {
    if (c != of_class) {
      of_class = c;
      table.group(class_link(*c));
    }
    add_noise_rows(table, *c, model);
  }
  page.add(table.html());
  page.add(
      paragraph("Noise is Gaussian, of variance 0.001, on a tenth of the images of each set, where "
                "the first column names no other. "
                "F1 drop: (F1 clean \u2212 F1) / F1 clean. The study prints a drop for two "
                "classes; it stands beside where the class is the same and the data is real.",
                "soft"));
}

/// An F1 and, in brackets, that of calling every image defective.
Html f1_beside_all_positive(const std::optional<double>& f1,
                            const std::optional<double>& all_positive) {
  return markup("{} <small>({})</small>", number(f1), number(all_positive, 2));
}

void add_folds(Table& table, const CrossValidationMetrics& cross_validation) {
  int64_t number_of_fold = 0;
  for (const FoldMetrics& fold : cross_validation.folds)
    table.row({std::to_string(++number_of_fold), number(fold.image_auroc),
               f1_beside_all_positive(fold.f1, fold.f1_all_positive),
               number(fold.f1_validation_threshold), decimal(fold.validation_threshold, 2),
               std::to_string(fold.test_images), std::to_string(fold.epochs),
               std::to_string(fold.best_epoch)});
}

void add_cross_validation(Table& table, const Html& name, const DetectorMetrics& m) {
  table.row({name, number(m.image_auroc), summary_text(m.cross_validation->image_auroc),
             f1_beside_all_positive(m.f1, m.f1_all_positive),
             number(m.cross_validation->f1_validation_threshold), std::to_string(m.test_images)});
}

void add_cross_validated(Page& page, const Findings& findings, const ModelSpec& model) {
  const auto groups = groups_of(findings, model.name);
  if (groups.empty()) return;
  const std::string name = model_name(model.name, model.name);
  page.subsection(model.name, name + " by class and fold", name + " folds");
  Table runs({"run", "AUROC, pooled", "AUROC over folds", "F1 at 0.5 (all defective)",
              "F1 at the folds\u2019 thresholds", "images"});
  Table folds({"fold", "AUROC", "F1 at 0.5 (all defective)", "F1 at its own threshold",
               "its own threshold", "images", "epochs", "best epoch"});
  std::set<std::string> quotes;
  for (const auto& [c, group] : groups) {
    if (const std::string quote = published(model.report.published, *c); quote != kNone)
      quotes.insert(quote);
    for (const RunResult* run : group->runs) {
      const Html title =
          markup("{}, {}, seed {}", class_link(*c), name_of_group(*group), run->config.seed);
      const DetectorMetrics& m = *run->detector();
      if (!m.cross_validation) continue;
      add_cross_validation(runs, title, m);
      folds.group(title);
      add_folds(folds, *m.cross_validation);
    }
  }
  page.add(runs.html());
  page.add(
      paragraph("Each image is scored once, by the fold that did not see it. Pooled: over all "
                "images together, with the probabilities of different networks side by side. "
                "A fold\u2019s own threshold is the best on its validation images.",
                "soft"));
  for (const std::string& quote : quotes) page.add(paragraph(quote, "soft"));
  page.add(folded("Every fold", folds.html()));
}

void add_all_metrics(Page& page, const Findings& findings) {
  page.subsection("metrics", "Every metric of every model", "All metrics");
  Table table({"model", "seeds", "AUROC", "AP", "FPR at 95\u00a0% TPR", "F1 (all defective)",
               "oracle F1", "precision", "recall", "balanced accuracy"});
  Table pixels({"model", "seeds", "pixel AUROC", "95\u00a0% interval", "pixel AP", "AUPRO"});
  for (const ClassFindings& c : findings.classes) {
    if (c.groups.empty()) continue;
    table.group(class_link(c));
    bool is_first = true;
    for (const SeedGroup* g : c.groups) {
      const std::string name = name_of_group(*g), seeds = std::to_string(g->runs.size());
      table.row({name, seeds, summary_text(g->summary(&DetectorMetrics::image_auroc)),
                 summary_text(g->summary(&DetectorMetrics::image_ap)),
                 summary_text(g->summary(&DetectorMetrics::fpr95)), f1_text(*g),
                 summary_text(g->summary(&DetectorMetrics::f1_max)),
                 summary_text(g->summary(&DetectorMetrics::precision_at_threshold)),
                 summary_text(g->summary(&DetectorMetrics::recall)),
                 summary_text(g->summary(&DetectorMetrics::balanced_accuracy))});
      const auto pixel_auroc = g->summary(&DetectorMetrics::pixel_auroc);
      if (!pixel_auroc) continue;
      if (std::exchange(is_first, false)) pixels.group(class_link(c));
      pixels.row({name, seeds, summary_text(pixel_auroc), interval_text(g->pixel_estimate(), 3),
                  summary_text(g->summary(&DetectorMetrics::pixel_ap)),
                  summary_text(g->summary(&DetectorMetrics::aupro))});
    }
  }
  page.add(folded("All image metrics", table.html()));
  page.add(paragraph(
      "AP: average precision. FPR at 95\u00a0% TPR: false alarms when 95\u00a0% of the defects are "
      "found. Oracle F1: at the threshold that is best on the test images themselves, which no one "
      "has in practice. \u2013 stands where a metric does not exist.",
      "soft"));
  page.subsection("pixels", "Heat maps against the masks of the defects", "Pixel metrics");
  if (!pixels.empty()) page.add(pixels.html());
  const std::vector<std::string> without_heat = names_of_models(
      findings, [](const ModelSpec& m) { return m.make_detector && !m.draws_heat_maps; });
  const std::string heat =
      without_heat.empty() ? "" : "No heat maps come from " + enumerated(without_heat) + ". ";
  page.add(paragraph(
      heat +
          "Without masks no heat map can be measured. AUPRO counts each defective region alike, up "
          "to a false positive rate of 0.3. The interval of the pixel AUROC takes an image as the "
          "unit, because the pixels of an image are not independent (Obuchowski, 1997); over seeds "
          "it has their deviation, too. Runs of older versions did not keep what it takes. For "
          "pixel AP and AUPRO none is computed.",
      "soft"));
}

/// A table with one row per run, for groups of several runs.
void add_seeds(Page& page, const Findings& findings) {
  if (std::none_of(findings.groups.begin(), findings.groups.end(),
                   [](const SeedGroup& g) { return g.runs.size() > 1; }))
    return;
  page.subsection("seeds", "Seed by seed", "Seeds");
  Table table({"model", "seed", "AUROC", "95\u00a0% interval", "F1 (all defective)", "found",
               "false alarms", "threshold", "best epoch"});
  for (const ClassFindings& c : findings.classes) {
    if (c.groups.empty()) continue;
    table.group(class_link(c));
    for (const SeedGroup* g : c.groups)
      for (const RunResult* run : g->runs) {
        const DetectorMetrics& m = *run->detector();
        const SeedGroup alone{{run}, g->label};
        table.row({name_of_group(*g), std::to_string(run->config.seed), number(m.image_auroc),
                   interval_text(alone.estimate(ScoreMetric::auroc)), f1_text(alone),
                   fmt::format("{} of {}", m.tp, m.defective_images()),
                   fmt::format("{} of {}", m.fp, m.good_images()), decimal(m.threshold, 2),
                   std::to_string(m.best_epoch)});
      }
  }
  page.add(folded("Every run", table.html()));
}

}  // namespace

void add_models(Page& page, const Findings& findings) {
  if (findings.groups.empty()) return;
  page.section("models", "Model by model");
  const std::vector<const ModelSpec*> models = models_of(findings);
  for (const ModelSpec* model : models) add_by_class(page, findings, *model);
  add_noise(page, findings);
  add_noise_sweeps(page, findings);
  for (const ModelSpec* model : models)
    if (model->learns_from_defects) add_cross_validated(page, findings, *model);
  add_all_metrics(page, findings);
  add_seeds(page, findings);
}

}  // namespace assay
