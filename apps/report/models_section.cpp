#include <algorithm>
#include <set>

#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

std::string class_cell(const ClassFindings& c) {
  return link_to("class-" + c.id, escape_html(c.name)) + synthetic_tag(c.synthetic);
}

/// "0.884 (0.750)": no F1 without that of calling every image defective.
std::string f1_text(const SeedGroup& group, const char* metric = "f1") {
  return fmt::format("{} <small>({})</small>", summary_text(group.summary(metric)),
                     mean_text(group.summary("f1_all_positive")));
}

std::vector<std::pair<const ClassFindings*, const SeedGroup*>> groups_of(const Findings& findings,
                                                                         const char* model) {
  std::vector<std::pair<const ClassFindings*, const SeedGroup*>> found;
  for (const ClassFindings& c : findings.classes)
    for (const SeedGroup* group : c.groups)
      if (group->config().model == model) found.emplace_back(&c, group);
  return found;
}

void add_kd_cae(Page& page, const Findings& findings) {
  const auto groups = groups_of(findings, "kd-cae");
  if (groups.empty()) return;
  page.subsection("kd-cae", "KD-CAE by class (table 2 of the study)", "KD-CAE by class");
  Table table({"class", "runs", "AUROC of the score", "reconstruction alone", "density alone",
               "F1 (all defective)", "F1 at percentile 99", "pixel AUROC", "AUPRO"},
              2);
  for (const auto& [c, group] : groups)
    table.row(
        {class_cell(*c),
         name_of_group(*group) + ", " + counted(static_cast<int64_t>(group->runs.size()), "seed"),
         summary_text(group->summary("image_auroc")),
         summary_text(group->summary("auroc_reconstruction")),
         summary_text(group->summary("auroc_density")), f1_text(*group),
         f1_text(*group, "f1_percentile99"), summary_text(group->summary("pixel_auroc")),
         summary_text(group->summary("aupro"))});
  page.add(table.html());
  page.add(paragraph(
      "The score is the larger of two deviations from held-out good images: of the reconstruction "
      "error, and of the density of the latent among those of the training images.",
      "soft"));
}

/// What the study says of the noise's harm. It prints no other numbers of NI-CAE.
std::string studys_drop(const ClassFindings& c) {
  if (c.synthetic) return kNone;
  return c.name == "toothbrush" ? "28.10 %" : c.name == "transistor" ? "2.56 %" : kNone;
}

std::string difference_cells(const SeedGroup& clean, const SeedGroup& noisy) {
  const auto d = difference_of(noisy, clean);
  if (!d) return kNone;
  return fmt::format("{} <small>{}</small>", decimal(d->difference.auroc->estimate, 3),
                     interval_text(d->difference.auroc->interval));
}

void add_noise_rows(Table& table, const ClassFindings& c, const std::string& model) {
  const SeedGroup* clean = nullptr;
  for (const SeedGroup* group : c.groups)
    if (group->config().model == model && group->clean()) clean = group;
  for (const SeedGroup* group : c.groups) {
    const RunConfig& config = group->config();
    if (config.model != model) continue;
    const bool both = config.train_noise == "noisy" && config.test_noise == "noisy";
    std::string drop = kNone;
    if (clean != nullptr && group != clean && clean->config().preset == config.preset)
      if (const auto a = clean->summary("f1"), b = group->summary("f1"); a && b && a->mean > 0)
        drop = decimal(100 * (a->mean - b->mean) / a->mean, 1) + " %";
    table.row({class_cell(c), model_name(config.model, config.preset), config.train_noise,
               config.test_noise, summary_text(group->summary("image_auroc")),
               clean == nullptr || group == clean ? kNone : difference_cells(*clean, *group),
               f1_text(*group), drop, both ? studys_drop(c) : kNone});
  }
}

void add_noise(Page& page, const Findings& findings) {
  std::vector<std::pair<const ClassFindings*, std::string>> with_noise;
  for (const ClassFindings& c : findings.classes)
    for (const char* model : {"ni-cae", "kd-cae"})
      if (std::any_of(c.groups.begin(), c.groups.end(), [&](const SeedGroup* g) {
            return g->config().model == model &&
                   (!g->clean() || g->config().model == std::string("ni-cae"));
          }))
        with_noise.emplace_back(&c, model);
  if (with_noise.empty()) return;
  page.subsection("noise", "NI-CAE with and without noise (table 3 of the study)",
                  "NI-CAE and noise");
  Table table({"class", "model", "training", "test", "AUROC", "against clean", "F1 (all defective)",
               "F1 drop", "F1 drop in the study"},
              4);
  for (const auto& [c, model] : with_noise) add_noise_rows(table, *c, model);
  page.add(table.html());
  page.add(
      paragraph("Noise is Gaussian, of variance 0.001, on a tenth of the images of each set. "
                "F1 drop: (F1 clean &minus; F1) / F1 clean. The study prints a drop for two "
                "classes; it stands beside where the class is the same and the data is real.",
                "soft"));
}

/// "0.86 ± 0.05" over folds.
std::string over_folds(const Json& summary) {
  if (summary.is_null()) return kNone;
  std::string text = number(summary.value("mean", Json()));
  if (const Json deviation = summary.value("deviation", Json()); deviation.is_number())
    text += " &plusmn; " + number(deviation);
  return text;
}

std::string f1_beside_all_positive(const Json& of) {
  return fmt::format("{} <small>({})</small>", number(of.value("f1", Json())),
                     number(of.value("f1_all_positive", Json()), 2));
}

void add_folds(Table& table, const Json& m) {
  if (!m.contains("folds")) return;
  int64_t number_of_fold = 0;
  for (const Json& fold : m["folds"]) {
    const auto text = [&](const char* key, int digits = 3) {
      return number(fold.value(key, Json()), digits);
    };
    table.row({std::to_string(++number_of_fold), text("image_auroc"), f1_beside_all_positive(fold),
               text("f1_val_threshold"), text("val_threshold", 2), text("test", 0),
               text("epochs", 0), text("best_epoch", 0)});
  }
}

void add_cross_validation(Table& table, const std::string& name, const Json& m) {
  const Json summary = m.value("folds_summary", Json::object());
  table.row({name, number(m["image_auroc"]), over_folds(summary.value("image_auroc", Json())),
             f1_beside_all_positive(m), number(m.value("f1_val_threshold", Json())),
             number(m["images"].value("test", Json()), 0)});
}

void add_cnn(Page& page, const Findings& findings) {
  const auto groups = groups_of(findings, "cnn");
  if (groups.empty()) return;
  page.subsection("cnn", "CNN by class and fold", "CNN folds");
  Table runs({"run", "AUROC, pooled", "AUROC over folds", "F1 at 0.5 (all defective)",
              "F1 at the folds&rsquo; thresholds", "images"});
  Table folds({"fold", "AUROC", "F1 at 0.5 (all defective)", "F1 at its own threshold",
               "its own threshold", "images", "epochs", "best epoch"});
  bool toothbrush = false;
  for (const auto& [c, group] : groups) {
    toothbrush |= c->name == "toothbrush" && !c->synthetic;
    for (const RunResult* run : group->runs) {
      const std::string name =
          fmt::format("{}, {}, seed {}", class_cell(*c), name_of_group(*group), run->config.seed);
      add_cross_validation(runs, name, run->metrics);
      folds.group(name);
      add_folds(folds, run->metrics);
    }
  }
  page.add(runs.html());
  page.add(
      paragraph("Each image is scored once, by the fold that did not see it. Pooled: over all "
                "images together, with the probabilities of different networks side by side. "
                "A fold&rsquo;s own threshold is the best on its validation images.",
                "soft"));
  if (toothbrush)
    page.add(
        paragraph("The study prints for its CNN on toothbrush an AUROC of about 65 % at best "
                  "and an F1 of about 25 %.",
                  "soft"));
  page.add(folded("Every fold", folds.html()));
}

void add_all_metrics(Page& page, const Findings& findings) {
  page.subsection("metrics", "Every metric of every model", "All metrics");
  Table table({"model", "seeds", "AUROC", "AP", "FPR at 95&nbsp;% TPR", "F1 (all defective)",
               "oracle F1", "precision", "recall", "balanced accuracy", "pixel AUROC", "pixel AP",
               "AUPRO"});
  for (const ClassFindings& c : findings.classes) {
    if (c.groups.empty()) continue;
    table.group(class_cell(c));
    for (const SeedGroup* g : c.groups)
      table.row({name_of_group(*g), std::to_string(g->runs.size()),
                 summary_text(g->summary("image_auroc")), summary_text(g->summary("image_ap")),
                 summary_text(g->summary("fpr95")), f1_text(*g), summary_text(g->summary("f1_max")),
                 summary_text(g->summary("precision_score")), summary_text(g->summary("recall")),
                 summary_text(g->summary("balanced_accuracy")),
                 summary_text(g->summary("pixel_auroc")), summary_text(g->summary("pixel_ap")),
                 summary_text(g->summary("aupro"))});
  }
  page.add(table.html());
  page.add(paragraph(
      "AP: average precision. FPR at 95&nbsp;% TPR: false alarms when 95&nbsp;% of the defects are "
      "found. "
      "Oracle F1: at the threshold that is best on the test images themselves, which no one has in "
      "practice. Pixel metrics compare heat maps with the masks of the defects; AUPRO counts each "
      "defective region alike, up to a false positive rate of 0.3. &ndash; stands where a metric "
      "does not exist: the CNN draws no heat maps, and without masks no heat map can be judged.",
      "soft"));
}

/// One row a run, where groups have several.
void add_seeds(Page& page, const Findings& findings) {
  if (std::none_of(findings.groups.begin(), findings.groups.end(),
                   [](const SeedGroup& g) { return g.runs.size() > 1; }))
    return;
  page.subsection("seeds", "Seed by seed", "Seeds");
  Table table({"model", "seed", "AUROC", "95&nbsp;% interval", "F1 (all defective)", "found",
               "false alarms", "threshold", "best epoch"});
  for (const ClassFindings& c : findings.classes) {
    if (c.groups.empty()) continue;
    table.group(class_cell(c));
    for (const SeedGroup* g : c.groups)
      for (const RunResult* run : g->runs) {
        const Json& m = run->metrics;
        const SeedGroup alone{{run}, g->label};
        table.row({name_of_group(*g), std::to_string(run->config.seed), number(m["image_auroc"]),
                   interval_text(alone.interval("image_auroc")), f1_text(alone),
                   number(m["tp"], 0) + " of " +
                       std::to_string(m["tp"].get<int64_t>() + m["fn"].get<int64_t>()),
                   number(m["fp"], 0) + " of " +
                       std::to_string(m["fp"].get<int64_t>() + m["tn"].get<int64_t>()),
                   number(m["threshold"], 2), number(m["best_epoch"], 0)});
      }
  }
  page.add(folded("Every run", table.html()));
}

}  // namespace

void add_models(Page& page, const Findings& findings) {
  if (findings.groups.empty()) return;
  page.section("models", "Model by model");
  add_kd_cae(page, findings);
  add_noise(page, findings);
  add_cnn(page, findings);
  add_all_metrics(page, findings);
  add_seeds(page, findings);
}

}  // namespace assay
