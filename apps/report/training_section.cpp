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
      return "no verdict";
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
Html difference_cell(const std::optional<GroupDifference>& d) {
  if (!d) return kNone;
  return markup("{}<br><small>{}</small><br><small>{}, {}</small>", decimal(d->auroc.estimate, 3),
                interval_text(d->auroc.interval), in_words(gain_of(*d)), counted(d->seeds, "seed"));
}

std::string auroc_cell(const SeedGroup* group) {
  return group == nullptr ? kNone : summary_text(group->summary(&DetectorMetrics::image_auroc));
}

/// "Against ..., the trained model is better in 1 and not told apart in 2 of 5 pairs of a model and
/// a class; the other 2 have fewer than 3 seeds, too few to say."
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
  const std::string of_all = counted(pairs, "pair") + " of a model and a class";
  const int64_t unknown = count[Gain::unknown];
  if (unknown == pairs)
    return fmt::format("{}: no verdict on {}, because fewer than {} were run.", beginning, of_all,
                       counted(kMinSeeds, "seed"));
  std::vector<std::string> parts;
  for (const Gain gain : {Gain::better, Gain::worse, Gain::open})
    if (count[gain] > 0) parts.push_back(fmt::format("{} in {}", in_words(gain), count[gain]));
  std::string text =
      fmt::format("{}, the trained model is {} of {}", beginning, enumerated(parts), of_all);
  if (unknown > 0)
    text += fmt::format("; of {} no verdict is given, because fewer than {} were run",
                        unknown == 1 ? "one" : std::to_string(unknown), counted(kMinSeeds, "seed"));
  return text + ".";
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
  Table table({"model", "trained", "untrained", "trained \u2212 untrained", "best baseline",
               "trained \u2212 best baseline"});
  const ClassFindings* of_class = nullptr;
  for (const TrainingGain& gain : gains) {
    if (gain.of_class != of_class) {
      of_class = gain.of_class;
      table.group(class_link(*of_class));
    }
    table.row({name_of_group(*gain.trained), auroc_cell(gain.trained), auroc_cell(gain.untrained),
               difference_cell(gain.to_untrained),
               gain.baseline == nullptr
                   ? Html(kNone)
                   : markup("{}<br><small>{}</small>", auroc_cell(gain.baseline),
                            name_of_group(*gain.baseline)),
               difference_cell(gain.to_baseline)});
  }
  page.add(table.html());
  page.add(paragraph(
      fmt::format(
          "Image AUROC. Untrained: the weights are as drawn, the density and the threshold are "
          "fitted to the same good images. Baselines have no network: the mean image, principal "
          "components, the nearest good image; the best of them is chosen by its AUROC on these "
          "test images, which favours it. Differences are paired on the images that both have "
          "scored; better and worse are said when the 95\u00a0% interval does not contain 0 and "
          "both have at least {} seeds in common.",
          kMinSeeds),
      "soft"));
}

}  // namespace assay
