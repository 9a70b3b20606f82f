// A run of LPD: fitted in one pass to all good images of the split, calibrated by leaving out each
// of them in turn, evaluated on the test images.
#pragma once

#include "models/experiments/registry.h"

namespace assay {

ModelSpec lpd_model();

}  // namespace assay
