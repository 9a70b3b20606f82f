// How the supervised CNN is trained and evaluated: stratified cross-validation on the pooled images
// of a class, because MVTec's training set has no defects in it.
#pragma once

#include <string>

#include "models/evaluation/run_metrics.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

/// Trains a network on each fold in a folder of its own, then evaluates. Each fold draws its
/// initial weights and its batches from a seed of its own. Error, DataError, Interrupted.
DetectorMetrics train_cnn(const RunConfig& config, const RunFolder& folder, Start start,
                          const TrainingHooks& hooks);

/// scores.csv holds each pooled image once, scored by the fold that did not see it ("set" says
/// which). metrics.json: everything pooled over these at threshold 0.5; "folds" has the values of
/// each, "folds_summary" their mean and deviation, "f1_val_threshold" the F1 pooled over the folds
/// where each uses the threshold that is best on its own validation images.
DetectorMetrics evaluate_cnn(const RunConfig& config, const RunFolder& folder,
                             const RunFolder& out);

}  // namespace assay
