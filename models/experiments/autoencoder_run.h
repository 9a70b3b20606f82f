// Training of an autoencoder as a detector: trained on good images, calibrated on held-out good
// images, evaluated on the test images.
#pragma once

#include "models/detectors/autoencoder_detector.h"
#include "models/experiments/registry.h"
#include "models/training/trainer.h"

namespace assay {

/// Trains an untrained detector in a folder that the caller has locked, and writes metrics.json.
/// With --train-noise, noise (equation 7) is added to a tenth of the training and of the validation
/// images, so that the threshold is calibrated under the training condition. Error, DataError,
/// Interrupted.
DetectorMetrics train_autoencoder(AutoencoderDetector& detector, const RunFolder& folder,
                                  Start start, const TrainingHooks& hooks);

/// A ModelSpec with the parts that autoencoders share: training, evaluation, options of noise,
/// hint. The caller sets name, presets and the rest. `make` makes an untrained detector.
ModelSpec autoencoder_model(
    std::function<std::unique_ptr<AutoencoderDetector>(const RunConfig&)> make);

}  // namespace assay
