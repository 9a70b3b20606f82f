// The checkpoint of a training: a run that continues from it ends in the same bits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/training/step.h"
#include "optim/early_stopping.h"
#include "tensor/safetensors.h"

namespace assay {

/// The position of a training. Random numbers have no state: they are functions of (seed, stream,
/// index).
struct TrainingPosition {
  int epoch = 0;             ///< finished epochs
  int64_t batch = 0;         ///< finished steps of the epoch after them
  std::vector<double> sums;  ///< weighted sum of each metric over these steps
  int64_t weight = 0;        ///< sum of the weights: images, or steps if all batches are full
  bool finished = false;     ///< no step is left, or early stopping ended the training
};

/// The objects whose state a checkpoint holds.
struct TrainingState {
  std::string model;  ///< stored, so that a checkpoint of another model is refused
  TrainingStep& step;
  EarlyStopping* early_stopping;  ///< null for a training without validation
  int64_t epoch_steps;            ///< steps per epoch
};

/// Writes a checkpoint; a crash at any byte leaves the previous one intact. Error, and no file, if
/// a weight or a moment of an optimizer is not finite.
void save_checkpoint(const std::filesystem::path& file, const TrainingState& state,
                     const TrainingPosition& position);

/// CheckpointError if the file was cut short or edited, or is of another model. `finished` is not
/// stored for a training without validation; the caller compares its steps.
TrainingPosition load_checkpoint(const std::filesystem::path& file, const TrainingState& state);

/// Writes a weight file of Assay: safetensors with a checksum of all tensors and metadata under
/// "checksum". Returns the checksum.
std::string write_checked(const std::filesystem::path& file, SafeTensors content);
/// CheckpointError if the content does not fit its checksum, or has none.
SafeTensors read_checked(const std::filesystem::path& file);

}  // namespace assay
