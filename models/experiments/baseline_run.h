// Runs of the baselines: fitted to the training images in one pass, calibrated and evaluated as the
// autoencoders are.
#pragma once

#include "models/experiments/registry.h"

namespace assay {

/// mean, pca and nearest.
std::vector<ModelSpec> baseline_models();

}  // namespace assay
