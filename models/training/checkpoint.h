// The file from which an interrupted training goes on to the same bits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/training/step.h"
#include "optim/early_stopping.h"
#include "tensor/safetensors.h"

namespace assay {

/// Where a training stands. Random numbers need no state: they are functions of seed and place.
struct TrainingPosition {
  int epoch = 0;             ///< epochs done
  int64_t batch = 0;         ///< steps done of the next epoch
  std::vector<double> sums;  ///< of each metric of these steps, times the weight of its step
  int64_t weight = 0;        ///< sum of these weights: images, or steps where all batches are full
  bool finished = false;     ///< no step is left, or early stopping said so
};

/// Everything that a training changes.
struct TrainingState {
  std::string model;  ///< tells checkpoints of different models apart
  TrainingStep& step;
  EarlyStopping* early_stopping;  ///< null for a training without validation
  int64_t epoch_steps;            ///< steps of a whole epoch
};

/// After a crash at any byte the last good checkpoint is still there. Error when a weight or a
/// moment of an optimizer is not finite; no file is written then.
void save_checkpoint(const std::filesystem::path& file, const TrainingState& state,
                     const TrainingPosition& position);

/// CheckpointError when the file was cut short or edited, or is of another model. A training
/// without validation stores no `finished`: the caller compares its steps.
TrainingPosition load_checkpoint(const std::filesystem::path& file, const TrainingState& state);

/// A weight file of Assay: safetensors with a checksum of all tensors and metadata under
/// "checksum", which is returned.
std::string write_checked(const std::filesystem::path& file, SafeTensors content);
/// CheckpointError when the content does not fit its checksum, or has none.
SafeTensors read_checked(const std::filesystem::path& file);

}  // namespace assay
