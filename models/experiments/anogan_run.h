// Training of AnoGAN (models/detectors/anogan_detector.h): a DCGAN on good images, or the weights
// of one; calibrated on held-out good images and evaluated like an autoencoder.
#pragma once

#include "models/evaluation/run_metrics.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

/// ModelSpec::train of AnoGAN. The weights of an own training are those of a DCGAN's run with the
/// same options. good_scores.csv holds the held-out images alone, because a search takes seconds an
/// image. UsageError if --generator names a run of another network or split, before anything is
/// written; Error, DataError, Interrupted.
DetectorMetrics train_anogan(const RunConfig& config, const RunFolder& folder, Start start,
                             const TrainingHooks& hooks);

}  // namespace assay
