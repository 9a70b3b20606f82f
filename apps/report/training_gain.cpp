#include "apps/report/training_gain.h"

#include <algorithm>

#include "data/noise.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

bool is_baseline(const SeedGroup& group) {
  return find_model(group.config().model).is_baseline;
}

/// Whether two runs differ at most in seed, split and the place of the data.
bool have_same_options(const RunConfig& a, RunConfig b) {
  b.seed = a.seed;
  b.split_file = a.split_file;
  b.data = a.data;
  return differences(a, b).empty();
}

/// Whether two runs differ in --untrained, and else at most in seed, split and the place of the
/// data.
bool differ_in_training(const RunConfig& trained, const RunConfig& other) {
  if (!other.untrained) return false;
  RunConfig same = other;
  same.untrained = false;
  return have_same_options(trained, same);
}

}  // namespace

Gain gain_of(const GroupDifference& d) {
  if (d.seeds < kMinSeeds) return Gain::unknown;
  if (!d.auroc.excludes_zero()) return Gain::open;
  return d.auroc.estimate > 0 ? Gain::better : Gain::worse;
}

bool has_noise_of_study(const RunConfig& config) {
  return config.noise_variance == kNoiseVariance && config.noise_share == kNoiseShare;
}

const SeedGroup* clean_partner(const ClassFindings& c, const SeedGroup& noisy) {
  RunConfig clean = noisy.config();
  clean.train_noise = clean.test_noise = "clean";
  const auto found = std::find_if(c.groups.begin(), c.groups.end(), [&](const SeedGroup* other) {
    // Without noise its variance and share change nothing.
    clean.noise_variance = other->config().noise_variance;
    clean.noise_share = other->config().noise_share;
    return other->clean() && have_same_options(other->config(), clean);
  });
  return found == c.groups.end() ? nullptr : *found;
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
