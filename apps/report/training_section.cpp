#include <fmt/format.h>

#include <map>

#include "apps/report/sections.h"
#include "apps/report/text.h"
#include "apps/report/training_gain.h"

namespace assay {
namespace {

std::string in_words(Gain gain) {
  switch (gain) {
    case Gain::unknown:
      return "too few seeds to say";
    case Gain::open:
      return "not told apart";
    case Gain::better:
      return "better";
    case Gain::worse:
      return "worse";
  }
  return "";
}

/// "-0.010 [-0.03, 0.02], not told apart"
std::string difference_cell(const std::optional<GroupDifference>& d) {
  if (!d) return kNone;
  return fmt::format("{} <small>{}</small><br><small>{}, {}</small>", decimal(d->auroc.estimate, 3),
                     interval_text(d->auroc.interval), in_words(gain_of(*d)),
                     counted(d->seeds, "seed"));
}

std::string auroc_cell(const SeedGroup* group) {
  return group == nullptr ? kNone : summary_text(group->summary(&DetectorMetrics::image_auroc));
}

/// "Against ..., the trained model is better in 1 and not told apart in 2; 3 pairs of ..."
std::string count_sentence(const std::vector<TrainingGain>& gains, const std::string& beginning,
                           std::optional<GroupDifference> TrainingGain::*difference) {
  int64_t pairs = 0;
  std::map<Gain, int64_t> count;
  for (const TrainingGain& gain : gains)
    if (const auto& d = gain.*difference) {
      ++pairs;
      ++count[gain_of(*d)];
    }
  if (pairs == 0) return "";
  std::vector<std::string> parts;
  for (const auto& [kind, text] :
       {std::pair(Gain::better, "better in {}"), std::pair(Gain::worse, "worse in {}"),
        std::pair(Gain::open, "not told apart in {}"),
        std::pair(Gain::unknown, "run with too few seeds to say in {}")})
    if (count[kind] > 0) parts.push_back(fmt::format(fmt::runtime(text), count[kind]));
  return fmt::format("{}, the trained model is {}; {} of a model and a class.", beginning,
                     enumerated(parts), counted(pairs, "pair"));
}

}  // namespace

void add_training_gain(Page& page, const Findings& findings) {
  const std::vector<TrainingGain> gains = training_gains(findings);
  if (gains.empty()) return;
  page.section("training", "What did training buy?");
  for (const std::string& sentence :
       {count_sentence(gains, "Against the same network with its weights as drawn",
                       &TrainingGain::to_untrained),
        count_sentence(gains, "Against the best baseline", &TrainingGain::to_baseline)})
    if (!sentence.empty()) page.add(paragraph(sentence, "big"));
  Table table({"class", "model", "trained", "untrained", "trained &minus; untrained",
               "best baseline", "trained &minus; best baseline"},
              2);
  for (const TrainingGain& gain : gains)
    table.row({link_to("class-" + gain.of_class->id, escape_html(gain.of_class->name)) +
                   synthetic_tag(gain.of_class->synthetic),
               name_of_group(*gain.trained), auroc_cell(gain.trained), auroc_cell(gain.untrained),
               difference_cell(gain.to_untrained),
               gain.baseline == nullptr
                   ? kNone
                   : fmt::format("{} <small>{}</small>", auroc_cell(gain.baseline),
                                 name_of_group(*gain.baseline)),
               difference_cell(gain.to_baseline)});
  page.add(table.html());
  page.add(paragraph(
      fmt::format(
          "Image AUROC. Untrained: the weights are as drawn, the density and the threshold are "
          "fitted to the same good images. Baselines have no network: the mean image, principal "
          "components, the nearest good image; the best of them is chosen by its AUROC on these "
          "test images, which favours it. Differences are paired on the images that both have "
          "scored; better and worse are said when the 95&nbsp;% interval does not contain 0 and "
          "both have at least {} seeds in common.",
          kMinSeeds),
      "soft"));
}

}  // namespace assay
