// How an autoencoder becomes a detector: trained on good images, calibrated on held-out good
// images, evaluated on the test's.
#pragma once

#include "models/detectors/autoencoder_detector.h"
#include "models/experiments/registry.h"
#include "models/training/trainer.h"

namespace assay {

/// From an untrained detector and a prepared folder to metrics.json. Noise (equation 7) falls on a
/// tenth of the training and of the validation images: what calibrates the threshold is of the
/// condition that was trained. Error, DataError, Interrupted.
DetectorMetrics train_autoencoder(AutoencoderDetector& detector, const RunFolder& folder,
                                  Start start, const TrainingHooks& hooks);

/// A ModelSpec with what all autoencoders share filled in (training, evaluation, options of noise,
/// hint). Name, presets and the rest remain to be set. `make` gives an untrained detector.
ModelSpec autoencoder_model(
    std::function<std::unique_ptr<AutoencoderDetector>(const RunConfig&)> make);

}  // namespace assay
