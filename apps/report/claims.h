// Whether the study's claims hold in a folder of runs.
#pragma once

#include <string>
#include <vector>

#include "apps/report/findings.h"
#include "models/experiments/study.h"

namespace assay {

struct ClaimResult {
  enum class Kind : uint8_t {
    holds,
    refuted,
    undecided,  ///< the runs that it needs are there, and their intervals leave both open
    untestable  ///< the runs that it needs are not there, or no run can tell
  };
  const StudyClaim* claim;
  Kind kind;
  std::vector<std::string> reasons;  ///< what the result rests on, or what is missing
};

/// One result for each of study_claims(). Synthetic classes are left out, since the study has
/// images of real objects.
std::vector<ClaimResult> check_claims(const Findings& findings);

}  // namespace assay
