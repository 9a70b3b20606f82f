#include <algorithm>
#include <map>

#include "apps/report/charts.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

bool has_collapsed(const SeedGroup& group) {
  return std::any_of(group.runs.begin(), group.runs.end(),
                     [](const RunResult* run) { return run->common().has_collapsed; });
}

/// "At its threshold X finds 19 of 24 defects, with 1 false alarm in 16 good images."
std::string at_threshold(const SeedGroup& group) {
  const std::string false_alarms = count_text(group.summary(&DetectorMetrics::fp));
  return fmt::format(" At its threshold {} finds {} of {} with {}{} in {}{}", name_of_group(group),
                     count_text(group.summary(&DetectorMetrics::tp)),
                     counted(group.first().defective_images(), "defect"), false_alarms,
                     false_alarms == "1" ? " false alarm" : " false alarms",
                     counted(group.first().good_images(), "good image"),
                     group.runs.size() > 1 ? " (mean over seeds)." : ".");
}

Html text_of_single(const Verdict& v, const std::string& class_name) {
  const std::string name = name_of_group(*v.leader);
  if (!v.leader_interval) return fmt::format("{} on {}: no AUROC exists.", name, class_name);
  return fmt::format(
      "Only {} was run on {}. It {}: AUROC {}, 95\u00a0% interval {}.{}", name, class_name,
      v.beats_chance ? "tells defective from good images" : "cannot be told from guessing",
      decimal(mean_auroc(*v.leader), 2), range_text(*v.leader_interval), at_threshold(*v.leader));
}

Html text_of_comparison(const Verdict& v, const std::string& class_name) {
  const std::string leader = name_of_group(*v.leader), follower = name_of_group(*v.follower);
  Html text;
  if (v.kind == Verdict::Kind::decided)
    text = markup("<b>{}</b> tells {}\u2019s defects from good images better than {}", leader,
                  class_name, follower);
  else if (v.kind == Verdict::Kind::few_seeds)
    text = markup("<b>{}</b> is ahead of {} on {} in {}; {} are needed to call it better", leader,
                  follower, class_name,
                  v.seeds == 1 ? "the one training of each" : "two trainings of each",
                  counted(kMinSeeds, "seed"));
  else if (v.kind == Verdict::Kind::equivalent)
    text = markup(
        "<b>{}</b> and <b>{}</b> are equivalent on {} (within {} by a test of "
        "equivalence)",
        leader, follower, class_name, decimal(kEquivalenceMargin, 2));
  else
    text = markup("The data does not tell <b>{}</b> and <b>{}</b> apart on {}", leader, follower,
                  class_name);
  text += fmt::format(": AUROC {} against {}, 95\u00a0% interval of the difference {} ({}",
                      decimal(v.leader_auroc, 2), decimal(v.follower_auroc, 2),
                      range_text(v.difference), counted(v.images, "image"));
  if (v.seeds > 1 || v.has_unpaired_seeds) text += ", " + counted(v.seeds, "seed");
  if (v.has_unpaired_seeds) text += " that both have";
  if (v.seeds > 1) text += fmt::format(", ahead in {}", v.seeds_ahead);
  text += ").";
  if (v.leader_interval && !v.beats_chance)
    text += " Even the better one cannot be told from guessing.";
  return text + at_threshold(*v.leader) + at_threshold(*v.follower);
}

/// Mean AUROC over all classes, of the models that were run on every class.
Html means_over_classes(const Findings& findings) {
  std::vector<std::string> parts, pooled;
  for (const std::string& model : model_names()) {
    double sum = 0;
    const SeedGroup* group = nullptr;
    for (const ClassFindings& c : findings.classes) {
      group = c.group_of(model);
      if (group != nullptr && !group->summary(&DetectorMetrics::image_auroc)) group = nullptr;
      if (group == nullptr) break;
      sum += mean_auroc(*group);
    }
    if (group == nullptr) continue;
    const double mean = sum / static_cast<double>(findings.classes.size());
    parts.push_back(fmt::format("{} {}", name_of_group(*group), decimal(mean, 3)));
    if (find_model(model).learns_from_defects) pooled.push_back(model_name(model, model));
  }
  if (parts.size() < 2) return {};
  std::string text =
      fmt::format("Mean AUROC over all {} classes: {}", findings.classes.size(), enumerated(parts));
  if (!pooled.empty())
    text += fmt::format(
        "; for {} over all images of a class, the training images of the others among them",
        enumerated(pooled));
  return paragraph(text + ".");
}

/// On how many classes each model is clearly ahead; empty for one class.
Html overall(const Findings& findings) {
  std::map<std::string, int> clear, ahead;
  int compared = 0, undecided = 0;
  for (const ClassFindings& c : findings.classes) {
    if (!c.difference) continue;
    ++compared;
    if (c.verdict.kind == Verdict::Kind::decided)
      ++clear[name_of_group(*c.verdict.leader)];
    else if (c.verdict.kind == Verdict::Kind::few_seeds)
      ++ahead[name_of_group(*c.verdict.leader)];
    else
      ++undecided;
  }
  if (compared < 2) return {};
  std::vector<Html> parts;
  for (const auto& [name, n] : clear)
    parts.push_back(markup("<b>{}</b> is clearly ahead on {}", name,
                           n == compared ? "all" : std::to_string(n)));
  for (const auto& [name, n] : ahead)
    parts.push_back(markup("<b>{}</b> is ahead on {} with fewer than {} seeds", name,
                           n == compared ? "all" : std::to_string(n), kMinSeeds));
  if (undecided > 0)
    parts.push_back(fmt::format("on {} the data does not tell the best two apart", undecided));
  const Html text = markup("Models were compared on {} classes: {}.", compared, enumerated(parts));
  return paragraph(text, "big") + means_over_classes(findings);
}

/// "<class>: KD-CAE \u2212 PCA 0.012 [-0.03, 0.05], contains 0"
Html class_heading(const ClassFindings& c) {
  Html heading = class_link(c);
  if (!c.difference) return heading;
  return heading + markup(" <small>best two: {} \u2212 {} {} {}, {}</small>",
                          name_of_group(*c.difference->first), name_of_group(*c.difference->second),
                          decimal(c.difference->auroc.estimate, 3),
                          interval_text(c.difference->auroc.interval),
                          !c.difference->auroc.excludes_zero() ? "contains 0"
                          : c.difference->seeds >= kMinSeeds   ? "excludes 0"
                                                               : "excludes 0, few seeds");
}

std::string of_all(const SeedGroup& group, const Metric& part, int64_t all) {
  return all == 0 ? kNone : fmt::format("{} of {}", count_text(group.summary(part)), all);
}

/// Every compared model of every class.
Html models_table(const Findings& findings) {
  Table table({"model", "seeds", "AUROC", "95\u00a0% interval", "F1", "F1 of all", "defects found",
               "false alarms"});
  for (const ClassFindings& c : findings.classes) {
    if (c.compared.empty()) continue;
    table.group(class_heading(c));
    for (const SeedGroup* group : c.compared) {
      Html name = name_of_group(*group),
           auroc = summary_text(group->summary(&DetectorMetrics::image_auroc));
      if (!c.best.empty() && group == c.best.front()) {
        name = markup("<span class=\"best\">{}</span>", name);
        auroc = markup("<span class=\"best\">{}</span>", auroc);
      }
      if (has_collapsed(*group)) name += " <small>collapsed</small>"_html;
      table.row({name, std::to_string(group->runs.size()), auroc,
                 interval_text(group->estimate(ScoreMetric::auroc)),
                 summary_text(group->summary(&DetectorMetrics::f1), 2),
                 mean_text(group->summary(&DetectorMetrics::f1_all_positive)),
                 of_all(*group, &DetectorMetrics::tp, group->first().defective_images()),
                 of_all(*group, &DetectorMetrics::fp, group->first().good_images())});
    }
  }
  return table.html();
}

/// Charts of at most kClasses classes each, so that each fits on the screen of a phone.
Html interval_charts(const Findings& findings) {
  constexpr size_t kClasses = 8;
  std::vector<IntervalGroup> groups;
  for (const ClassFindings& c : findings.classes) {
    IntervalGroup of_class{c.name + (c.synthetic ? " (synthetic)" : ""), {}};
    for (const SeedGroup* group : c.compared) {
      const auto sure = group->estimate(ScoreMetric::auroc);
      if (!sure) continue;
      IntervalRow row{.name = name_of_group(*group),
                      .value = mean_auroc(*group),
                      .low = sure->interval.low,
                      .high = sure->interval.high,
                      .singles = {},
                      .colour = colour_of(group->config().model)};
      if (group->runs.size() > 1)
        for (const RunResult* run : group->runs)
          if (const auto auroc = run->detector()->image_auroc) row.singles.push_back(*auroc);
      of_class.rows.push_back(row);
    }
    if (!of_class.rows.empty()) groups.push_back(of_class);
  }
  Html html;
  for (size_t begin = 0; begin < groups.size(); begin += kClasses) {
    const auto end =
        groups.begin() + static_cast<ptrdiff_t>(std::min(groups.size(), begin + kClasses));
    html += interval_chart("Image AUROC by class and model", "image AUROC (dashed line: guessing)",
                           0.4, 1, kChance, {groups.begin() + static_cast<ptrdiff_t>(begin), end});
  }
  return groups.size() > kClasses ? beside(html)
                                  : markup("<div class=\"charts wide-chart\">\n{}</div>\n", html);
}

/// Whether a model was evaluated on more than the compared images: a cross-validated one is.
bool scored_other_images(const Findings& findings) {
  for (const ClassFindings& c : findings.classes) {
    if (!c.difference) continue;
    for (const SeedGroup* group : c.best)
      if (group->first().test_images != c.verdict.images) return true;
  }
  return false;
}

bool several_seeds(const Findings& findings) {
  return std::any_of(findings.groups.begin(), findings.groups.end(),
                     [](const SeedGroup& g) { return g.runs.size() > 1; });
}

Html how_to_read(const Findings& findings) {
  const bool seeds = several_seeds(findings);
  Html text = markup(
      "<b>AUROC</b> is the chance that a defective image scores above a good one: 0.5 is guessing, "
      "1 is without fault; it needs no threshold. In brackets: the 95\u00a0% interval, which says "
      "how much other images of the same kind{} could change it. {} ",
      seeds ? " and other seeds" : "",
      seeds ? "\u00b1 is the deviation over seeds (how much one training differs from another). "
              "In the chart: dot = mean, bar = interval, ticks = single seeds."
            : "Another training could change it too, which one seed cannot show. In the chart: dot "
              "= AUROC, bar = interval.");
  text +=
      "<b>F1</b> is taken at a threshold that was set without any test image; <i>F1 of all</i> is "
      "that of calling every image defective, which is what prevalence alone gives: an F1 below it "
      "says "
      "that the threshold, not always the model, is bad. <b>Best two</b>: by how much "
      "their AUROC differs on the same images; where its interval contains 0 the data does not "
      "tell them apart."_html;
  if (scored_other_images(findings))
    text += fmt::format(
        " Models that learn from defects ({}) are cross-validated, so their own AUROC and F1 are "
        "over all images of the class, while the others are evaluated on its test images; "
        "sentences and differences use only the images that both have scored.",
        enumerated(models_that_learn_from_defects(findings)));
  return paragraph(text, "soft");
}

}  // namespace

Html verdict_text(const ClassFindings& c) {
  const Verdict& v = c.verdict;
  const std::string& name = c.name;
  switch (v.kind) {
    case Verdict::Kind::no_detector:
      return fmt::format("No model that detects defects was run on {}.", name);
    case Verdict::Kind::one_kind:
      return fmt::format("No verdict on {}: {}. Scores and thresholds are in its section.", name,
                         c.compared.front()->runs.front()->detector()->why_no_image_metrics());
    case Verdict::Kind::single:
      return text_of_single(v, name);
    case Verdict::Kind::not_comparable:
      return fmt::format(
          "No comparison on {}: {} (AUROC {}) and {} (AUROC {}) have no seed in common on which "
          "both have scored the same images.",
          name, name_of_group(*v.leader), decimal(mean_auroc(*v.leader), 2),
          name_of_group(*v.follower), decimal(mean_auroc(*v.follower), 2));
    case Verdict::Kind::undecided:
    case Verdict::Kind::equivalent:
    case Verdict::Kind::few_seeds:
    case Verdict::Kind::decided:
      return text_of_comparison(v, name);
  }
  return {};
}

void add_answer(Page& page, const Findings& findings) {
  if (findings.groups.empty()) return;
  page.section("answer", "Which model finds the defects best?");
  page.add(overall(findings));
  Html list;
  for (const ClassFindings& c : findings.classes)
    if (!c.compared.empty())
      list += markup("<li{}>{}{}</li>\n",
                     c.verdict.kind == Verdict::Kind::decided ? " class=\"clear\""_html : Html(),
                     verdict_text(c), synthetic_tag(c.synthetic));
  page.add(markup("<ul class=\"answer\">\n{}</ul>\n", list));
  page.add(interval_charts(findings));
  page.add(models_table(findings));
  page.add(how_to_read(findings));
}

}  // namespace assay
