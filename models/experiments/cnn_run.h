// Training and evaluation of the supervised CNN: stratified cross-validation on the pooled images
// of a class, because MVTec's training set has no defective images.
#pragma once

#include <string>

#include "models/evaluation/run_metrics.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/training/trainer.h"

namespace assay {

/// Trains one network per fold, each in a folder of its own, then evaluates. Each fold has its own
/// seed of initial weights and batches. Error, DataError, Interrupted.
DetectorMetrics train_cnn(const RunConfig& config, const RunFolder& folder, Start start,
                          const TrainingHooks& hooks);

/// scores.csv holds each pooled image once, scored by the fold that tested it (column "set").
/// metrics.json has the metrics pooled over these at threshold 0.5; in it "folds" has the values of
/// each fold, "folds_summary" their mean and deviation, and "f1_val_threshold" the F1 pooled over
/// the folds when each uses the threshold with the highest F1 on its validation images, which
/// include defective ones. Both are written into `out`.
DetectorMetrics evaluate_cnn(const RunConfig& config, const RunFolder& folder,
                             const RunFolder& out);

}  // namespace assay
