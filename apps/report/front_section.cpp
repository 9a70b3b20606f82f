#include <algorithm>

#include "apps/report/image_panels.h"
#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "kernels/runtime/error.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

/// The groups of one label, a class each.
struct Contender {
  std::string label;
  std::vector<const SeedGroup*> groups;

  double auroc() const {
    double sum = 0;
    for (const SeedGroup* group : groups) sum += mean_auroc(*group);
    return sum / static_cast<double>(groups.size());
  }
};

/// The label with the highest mean AUROC over the classes, of those that were run on all classes
/// whose test images have both kinds. No groups where there is none.
Contender best_of_all(const Findings& findings) {
  std::vector<Contender> contenders;
  size_t classes = 0;
  for (const ClassFindings& c : findings.classes) {
    classes += !c.best.empty();
    for (const SeedGroup* group : c.compared) {
      if (!group->summary(&DetectorMetrics::image_auroc)) continue;
      const auto known = std::find_if(contenders.begin(), contenders.end(),
                                      [&](const Contender& o) { return o.label == group->label; });
      (known == contenders.end() ? contenders.emplace_back(Contender{group->label, {}}) : *known)
          .groups.push_back(group);
    }
  }
  std::erase_if(contenders, [&](const Contender& c) { return c.groups.size() != classes; });
  const auto best = std::max_element(
      contenders.begin(), contenders.end(),
      [](const Contender& a, const Contender& b) { return a.auroc() < b.auroc(); });
  return best == contenders.end() ? Contender{} : *best;
}

Html number_card(const std::string& number, const std::string& what) {
  return markup("<div><b>{}</b><span>{}</span></div>\n", number, what);
}

/// "61 of 64", of means over the seeds summed over the classes.
std::string of_all(const Contender& best, const Metric& part, const Metric& rest) {
  double found = 0, all = 0;
  for (const SeedGroup* group : best.groups) {
    const double in_group = group->summary(part)->mean;
    found += in_group;
    all += in_group + group->summary(rest)->mean;
  }
  return fmt::format("{} of {}", decimal(found, 0), decimal(all, 0));
}

Html three_numbers(const Findings& findings) {
  const Contender best = best_of_all(findings);
  if (best.groups.empty()) return {};
  const size_t classes = best.groups.size();
  const std::string name = name_of_group(*best.groups.front());
  return markup(
      "<div class=\"numbers\">\n{}{}{}</div>\n",
      number_card(decimal(best.auroc(), 3),
                  fmt::format("image AUROC of {}, the highest of all models{}", name,
                              classes > 1 ? fmt::format(" (mean of {} classes)", classes) : "")),
      number_card(of_all(best, &DetectorMetrics::tp, &DetectorMetrics::fn),
                  fmt::format("defective images that {} finds at its threshold", name)),
      number_card(of_all(best, &DetectorMetrics::fp, &DetectorMetrics::tn),
                  "good images that it calls defective"));
}

/// The group whose images are shown: the best of the class that draws heat maps; one of untrained
/// networks, whose heat maps mean little, only where there is no other.
const SeedGroup* shown_group(const ClassFindings& c) {
  std::vector<const SeedGroup*> groups = c.compared;
  std::stable_sort(groups.begin(), groups.end(), [](const SeedGroup* a, const SeedGroup* b) {
    return std::pair(!a->config().untrained, mean_auroc(*a)) >
           std::pair(!b->config().untrained, mean_auroc(*b));
  });
  const auto shown = std::find_if(groups.begin(), groups.end(), [](const SeedGroup* group) {
    return find_model(group->config().model).draws_heat_maps;
  });
  return shown == groups.end() ? nullptr : *shown;
}

Html gallery(const Findings& findings) {
  constexpr size_t kClasses = 15;
  Html rows;
  size_t shown = 0;
  for (const ClassFindings& c : findings.classes) {
    const SeedGroup* group = shown_group(c);
    if (group == nullptr || shown == kClasses) continue;
    Html pieces;
    for (const Showpiece& piece : showpieces_of(*group->runs.front()))
      pieces += markup("<figure><div>{}</div><figcaption>{}</figcaption></figure>\n", piece.tiles,
                       piece.verdict);
    if (pieces.empty()) continue;
    ++shown;
    rows += markup("<div class=\"of-class\"><p>{}<small>{}</small></p>\n{}</div>\n", class_link(c),
                   name_of_group(*group), pieces);
  }
  return rows.empty() ? Html() : markup("<div class=\"gallery\">\n{}</div>\n", rows);
}

}  // namespace

Html front(const Findings& findings) {
  return three_numbers(findings) + gallery(findings);
}

}  // namespace assay
