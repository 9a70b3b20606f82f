// The gain by training: each trained model compared with its own untrained network and with the
// best baseline of the class.
#pragma once

#include <optional>
#include <vector>

#include "apps/report/findings.h"

namespace assay {

/// The meaning of a difference of AUROC, trained minus the other.
enum class Gain : uint8_t {
  unknown,  ///< fewer than kMinSeeds common seeds
  open,     ///< the interval contains 0
  better,   ///< the trained model is better
  worse,    ///< the trained model is worse
};
Gain gain_of(const GroupDifference& difference);

/// A trained model of a class. At least one of the two differences is there.
struct TrainingGain {
  const ClassFindings* of_class;
  const SeedGroup* trained;
  const SeedGroup* untrained = nullptr;  ///< the same options but --untrained; or nullptr
  const SeedGroup* baseline = nullptr;   ///< the best by mean AUROC on the test; or nullptr
  std::optional<GroupDifference> to_untrained, to_baseline;  ///< trained minus the other
};

/// Whether the noise has the variance and the share of the study's equation 7.
bool has_noise_of_study(const RunConfig& config);

/// The group of a class with the same options but without noise; nullptr where there is none.
const SeedGroup* clean_partner(const ClassFindings& c, const SeedGroup& noisy);

/// By class, then in the order of its groups: every compared group of a model that is no baseline.
std::vector<TrainingGain> training_gains(const Findings& findings);

}  // namespace assay
