#include "apps/report/training_gain.h"

#include <algorithm>

#include "models/experiments/registry.h"

namespace assay {
namespace {

bool is_baseline(const SeedGroup& group) {
  return find_model(group.config().model).is_baseline;
}

/// Whether two runs differ in --untrained, and else at most in seed, split and the place of the
/// data.
bool differ_in_training(const RunConfig& trained, const RunConfig& other) {
  if (!other.untrained) return false;
  RunConfig same = other;
  same.untrained = false;
  same.seed = trained.seed;
  same.split_file = trained.split_file;
  same.data = trained.data;
  return differences(trained, same).empty();
}

}  // namespace

Gain gain_of(const GroupDifference& d) {
  if (d.seeds < kMinSeeds) return Gain::unknown;
  if (!d.auroc.excludes_zero()) return Gain::open;
  return d.auroc.estimate > 0 ? Gain::better : Gain::worse;
}

std::vector<TrainingGain> training_gains(const Findings& findings) {
  std::vector<TrainingGain> gains;
  for (const ClassFindings& c : findings.classes) {
    const SeedGroup* baseline = nullptr;
    for (const SeedGroup* group : c.compared)
      if (is_baseline(*group) && group->summary(&DetectorMetrics::image_auroc) &&
          (baseline == nullptr || mean_auroc(*group) > mean_auroc(*baseline)))
        baseline = group;
    for (const SeedGroup* group : c.compared) {
      if (is_baseline(*group) || group->config().untrained) continue;
      TrainingGain gain{.of_class = &c, .trained = group, .to_untrained = {}, .to_baseline = {}};
      const auto untrained =
          std::find_if(c.groups.begin(), c.groups.end(), [&](const SeedGroup* other) {
            return differ_in_training(group->config(), other->config());
          });
      if (untrained != c.groups.end()) {
        gain.untrained = *untrained;
        gain.to_untrained = difference_of(*group, **untrained);
      }
      if (baseline != nullptr) {
        gain.baseline = baseline;
        gain.to_baseline = difference_of(*group, *baseline);
      }
      if (gain.to_untrained || gain.to_baseline) gains.push_back(gain);
    }
  }
  return gains;
}

}  // namespace assay
