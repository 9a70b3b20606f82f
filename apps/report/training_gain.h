// What training bought: each trained model against its own untrained network and against the best
// baseline of the class.
#pragma once

#include <optional>
#include <vector>

#include "apps/report/findings.h"

namespace assay {

/// What a difference of AUROC, trained minus the other, shows.
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

/// By class, then in the order of its groups: every compared group of a model that is no baseline.
std::vector<TrainingGain> training_gains(const Findings& findings);

}  // namespace assay
