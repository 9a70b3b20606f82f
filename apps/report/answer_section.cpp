#include <algorithm>
#include <map>

#include "apps/report/charts.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

constexpr const char* kAuroc = "image_auroc";
constexpr double kChance = 0.5;  // the AUROC of guessing

bool collapsed(const SeedGroup& group) {
  return std::any_of(group.runs.begin(), group.runs.end(),
                     [](const RunResult* run) { return run->metrics.value("collapsed", false); });
}

/// "At its threshold X finds 19 of 24 defects, with 1 false alarm in 16 good images."
std::string at_threshold(const SeedGroup& group) {
  const auto& m = group.runs.front()->metrics;
  const int64_t defects = m["tp"].get<int64_t>() + m["fn"].get<int64_t>();
  const int64_t good = m["fp"].get<int64_t>() + m["tn"].get<int64_t>();
  const std::string false_alarms = count_text(group.summary("fp"));
  return fmt::format(" At its threshold {} finds {} of {} with {}{} in {}{}", name_of_group(group),
                     count_text(group.summary("tp")), counted(defects, "defect"), false_alarms,
                     false_alarms == "1" ? " false alarm" : " false alarms",
                     counted(good, "good image"),
                     group.runs.size() > 1 ? " (mean over seeds)." : ".");
}

std::string verdict_on_one(const ClassFindings& c, const SeedGroup& group) {
  const auto interval = group.interval(kAuroc);
  const std::string name = name_of_group(group);
  if (!interval) return fmt::format("{} on {}: no AUROC exists.", name, escape_html(c.name));
  const bool better = interval->low > kChance;
  return fmt::format("Only {} was run on {}. It {}: AUROC {}, 95&nbsp;% interval {}.{}", name,
                     escape_html(c.name),
                     better ? "tells defective from good images" : "cannot be told from guessing",
                     decimal(mean_auroc(group), 2), range_text(*interval), at_threshold(group));
}

/// On two that cannot be compared.
std::string verdict_on_apart(const ClassFindings& c) {
  std::string text = fmt::format("No comparison on {}: ", escape_html(c.name));
  for (const SeedGroup* group : c.best)
    text += fmt::format("{}{} (AUROC {})", group == c.best.front() ? "" : " and ",
                        name_of_group(*group), decimal(mean_auroc(*group), 2));
  return text + " have no seed in common on which both have scored the same images.";
}

std::string verdict_on_two(const ClassFindings& c) {
  const GroupDifference& d = *c.difference;
  const std::string on = escape_html(c.name);
  const bool swapped = d.difference.auroc->estimate < 0;
  // Means over all images of each may rank otherwise than those on the images of both.
  Interval interval = d.difference.auroc->interval;
  if (swapped) interval = {-interval.high, -interval.low};
  const double ahead = swapped ? d.second_auroc : d.first_auroc;
  const double behind = swapped ? d.first_auroc : d.second_auroc;
  const SeedGroup& best = swapped ? *d.second : *d.first;
  const SeedGroup& next = swapped ? *d.first : *d.second;
  const std::string leader = name_of_group(best), follower = name_of_group(next);
  std::string text =
      d.clear() ? fmt::format("<b>{}</b> tells {}&rsquo;s defects from good images better than {}",
                              leader, on, follower)
                : fmt::format("The data does not tell <b>{}</b> and <b>{}</b> apart on {}", leader,
                              follower, on);
  text += fmt::format(": AUROC {} against {}, 95&nbsp;% interval of the difference {}",
                      decimal(ahead, 2), decimal(behind, 2), range_text(interval));
  text += fmt::format(" ({}", counted(d.good + d.defective, "image"));
  const bool uneven =
      static_cast<int64_t>(std::max(d.first->runs.size(), d.second->runs.size())) > d.seeds;
  if (d.seeds > 1 || uneven) text += ", " + counted(d.seeds, "seed");
  if (uneven) text += " that both have";
  if (d.seeds > 1)
    text += fmt::format(", ahead in {}", swapped ? d.seeds - d.seeds_ahead : d.seeds_ahead);
  text += ").";
  if (const auto own = best.interval(kAuroc); own && own->low <= kChance)
    text += " Even the better one cannot be told from guessing.";
  return text + at_threshold(best) + at_threshold(next);
}

/// Of the models that were run on every class.
std::string means_over_classes(const Findings& findings) {
  std::vector<std::string> parts, pooled;
  for (const std::string& model : model_names()) {
    double sum = 0;
    const SeedGroup* group = nullptr;
    for (const ClassFindings& c : findings.classes) {
      group = c.group_of(model);
      if (group != nullptr && !group->summary(kAuroc)) group = nullptr;
      if (group == nullptr) break;
      sum += mean_auroc(*group);
    }
    if (group == nullptr) continue;
    const double mean = sum / static_cast<double>(findings.classes.size());
    parts.push_back(fmt::format("{} {}", name_of_group(*group), decimal(mean, 3)));
    if (find_model(model).learns_from_defects) pooled.push_back(model_name(model, model));
  }
  if (parts.size() < 2) return "";
  std::string text =
      fmt::format("Mean AUROC over all {} classes: {}", findings.classes.size(), enumerated(parts));
  if (!pooled.empty())
    text += fmt::format(
        "; for {} over all images of a class, the training images of the others among them",
        enumerated(pooled));
  return paragraph(text + ".");
}

/// Over all classes, where there are several.
std::string overall(const Findings& findings) {
  std::map<std::string, int> clear;
  int compared = 0, undecided = 0;
  for (const ClassFindings& c : findings.classes) {
    if (!c.difference) continue;
    ++compared;
    if (!c.difference->clear()) {
      ++undecided;
      continue;
    }
    const bool first = c.difference->difference.auroc->interval.low > 0;
    ++clear[name_of_group(first ? *c.difference->first : *c.difference->second)];
  }
  if (compared < 2) return "";
  std::vector<std::string> parts;
  for (const auto& [name, n] : clear)
    parts.push_back(fmt::format("<b>{}</b> is clearly ahead on {}", name,
                                n == compared ? "all" : std::to_string(n)));
  if (undecided > 0)
    parts.push_back(fmt::format("on {} the data does not tell the best two apart", undecided));
  const std::string text =
      fmt::format("Models were compared on {} classes: {}.", compared, enumerated(parts));
  return paragraph(text, "big") + means_over_classes(findings);
}

/// A group of each label that is compared, in the order of the registry.
std::vector<const SeedGroup*> columns_of(const Findings& findings) {
  std::vector<const SeedGroup*> columns;
  for (const ClassFindings& c : findings.classes)
    for (const SeedGroup* group : c.compared)
      if (std::none_of(columns.begin(), columns.end(),
                       [&](const SeedGroup* other) { return other->label == group->label; }))
        columns.push_back(group);
  const std::vector<std::string> models = model_names();
  const auto place = [&](const SeedGroup* g) {
    return std::pair(std::find(models.begin(), models.end(), g->config().model), g->label);
  };
  std::sort(columns.begin(), columns.end(),
            [&](const SeedGroup* a, const SeedGroup* b) { return place(a) < place(b); });
  return columns;
}

std::string matrix_cell(const SeedGroup& group, bool best) {
  const auto summary = group.summary(kAuroc);
  std::string auroc = summary_text(summary);
  if (best) auroc = "<span class=\"best\">" + auroc + "</span>";
  return fmt::format("{} <small>{}</small><br><small>F1 {}, all: {}</small>{}", auroc,
                     interval_text(group.interval(kAuroc)), summary_text(group.summary("f1"), 2),
                     mean_text(group.summary("f1_all_positive")),
                     collapsed(group) ? "<br><small>collapsed</small>" : "");
}

std::string matrix(const Findings& findings) {
  const std::vector<const SeedGroup*> columns = columns_of(findings);
  std::vector<std::string> titles = {"class"};
  for (const SeedGroup* column : columns) titles.push_back(name_of_group(*column));
  titles.push_back("best two, difference");
  Table table(titles);
  for (const ClassFindings& c : findings.classes) {
    if (c.compared.empty()) continue;
    std::vector<std::string> cells = {link_to("class-" + c.id, escape_html(c.name)) +
                                      synthetic_tag(c.synthetic)};
    for (const SeedGroup* column : columns) {
      const auto mine = std::find_if(c.compared.begin(), c.compared.end(),
                                     [&](const SeedGroup* g) { return g->label == column->label; });
      cells.push_back(mine == c.compared.end()
                          ? "<small>not run</small>"
                          : matrix_cell(**mine, !c.best.empty() && *mine == c.best.front()));
    }
    cells.push_back(
        c.difference
            ? fmt::format(
                  "<small>{} &minus; {}</small><br>{} <small>{}</small><br><small>{}</small>",
                  name_of_group(*c.difference->first), name_of_group(*c.difference->second),
                  decimal(c.difference->difference.auroc->estimate, 3),
                  interval_text(c.difference->difference.auroc->interval),
                  c.difference->clear() ? "clear of 0" : "contains 0")
            : kNone);
    table.row(cells);
  }
  return table.html();
}

/// At most so many classes in one chart: a phone shows it whole.
std::string interval_charts(const Findings& findings) {
  constexpr size_t kClasses = 8;
  std::vector<IntervalGroup> groups;
  for (const ClassFindings& c : findings.classes) {
    IntervalGroup of_class{c.name + (c.synthetic ? " (synthetic)" : ""), {}};
    for (const SeedGroup* group : c.compared) {
      const auto interval = group->interval(kAuroc);
      if (!interval) continue;
      IntervalRow row{.name = model_name(group->config().model, group->config().preset),
                      .value = mean_auroc(*group),
                      .low = interval->low,
                      .high = interval->high,
                      .singles = {},
                      .colour = colour_of(group->config().model)};
      if (group->runs.size() > 1)
        for (const RunResult* run : group->runs)
          if (run->metrics[kAuroc].is_number()) row.singles.push_back(run->metrics[kAuroc]);
      of_class.rows.push_back(row);
    }
    if (!of_class.rows.empty()) groups.push_back(of_class);
  }
  std::string html;
  for (size_t begin = 0; begin < groups.size(); begin += kClasses) {
    const auto end =
        groups.begin() + static_cast<ptrdiff_t>(std::min(groups.size(), begin + kClasses));
    html += interval_chart("Image AUROC by class and model", "image AUROC (dashed line: guessing)",
                           0.4, 1, kChance, {groups.begin() + static_cast<ptrdiff_t>(begin), end});
  }
  return html.empty() ? "" : "<div class=\"charts\">\n" + html + "</div>\n";
}

/// A cross-validated model is evaluated on all images of a class, the others on its test images.
bool scored_other_images(const Findings& findings) {
  for (const ClassFindings& c : findings.classes) {
    if (!c.difference) continue;
    for (const SeedGroup* group : c.best) {
      const auto& m = group->runs.front()->metrics;
      if (m["images"]["test"].get<int64_t>() != c.difference->good + c.difference->defective)
        return true;
    }
  }
  return false;
}

bool several_seeds(const Findings& findings) {
  return std::any_of(findings.groups.begin(), findings.groups.end(),
                     [](const SeedGroup& g) { return g.runs.size() > 1; });
}

std::string how_to_read(const Findings& findings) {
  std::string text =
      "<b>AUROC</b> is the chance that a defective image scores above a good one: 0.5 is guessing, "
      "1 is without fault; it needs no threshold. In brackets: the 95&nbsp;% interval, from a "
      "bootstrap "
      "over the images (how much other images of the same kind could change it). ";
  if (several_seeds(findings))
    text +=
        "&plusmn; is the deviation over seeds (how much another training could change it); the "
        "interval is then the mean of the seeds&rsquo;. In the chart: dot = mean, bar = interval, "
        "ticks = single seeds. ";
  else
    text += "In the chart: dot = AUROC, bar = interval. ";
  text +=
      "<b>F1</b> is taken at a threshold that was set without any test image; <i>all</i> is the F1 "
      "of calling every image defective, which is what prevalence alone gives: an F1 below it says "
      "that the threshold, not always the model, is bad. <b>Best two</b>: by how much "
      "their AUROC differs on the same images; where its interval contains 0 the data does not "
      "tell them apart.";
  if (scored_other_images(findings))
    text += fmt::format(
        " Models that learn from defects ({}) are cross-validated, so their own AUROC and F1 are "
        "over all images of the class, while the others are evaluated on its test images; "
        "sentences and differences use only the images that both have scored.",
        enumerated(models_that_learn_from_defects(findings)));
  return paragraph(text, "soft");
}

}  // namespace

std::string verdict_on(const ClassFindings& c) {
  if (c.difference) return verdict_on_two(c);
  if (c.best.size() == 2) return verdict_on_apart(c);
  if (!c.best.empty()) return verdict_on_one(c, *c.best.front());
  if (!c.compared.empty())
    return fmt::format("No verdict on {}: its test images are all of one kind.",
                       escape_html(c.name));
  return fmt::format("No model that judges images was run on {}.", escape_html(c.name));
}

void add_answer(Page& page, const Findings& findings) {
  if (findings.groups.empty()) return;
  page.section("answer", "Which model finds the defects best?");
  page.add(overall(findings));
  std::string list;
  for (const ClassFindings& c : findings.classes)
    if (!c.compared.empty())
      list += fmt::format("<li{}>{}{}</li>\n",
                          c.difference && c.difference->clear() ? " class=\"clear\"" : "",
                          verdict_on(c), synthetic_tag(c.synthetic));
  page.add("<ul class=\"answer\">\n" + list + "</ul>\n");
  page.add(interval_charts(findings));
  page.add(matrix(findings));
  page.add(how_to_read(findings));
}

}  // namespace assay
