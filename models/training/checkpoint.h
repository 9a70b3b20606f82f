// The file from which a broken-off training goes on to the same bits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "optim/early_stopping.h"
#include "optim/optimizer.h"
#include "tensor/safetensors.h"

namespace assay {

/// Where a training stands. Random numbers need no state: they are functions of seed and place.
struct TrainingPosition {
  int epoch = 0;          ///< epochs done
  int64_t batch = 0;      ///< batches done of the next epoch
  int64_t images = 0;     ///< in these batches
  double loss_sum = 0;    ///< over these images
  bool finished = false;  ///< no epoch is left, or early stopping said so
};

/// Everything that a training changes. `model` tells checkpoints of different models apart.
struct TrainingState {
  std::string model;
  const Module& module;
  Optimizer& optimizer;
  EarlyStopping& early_stopping;
};

/// After a crash at any byte the last good checkpoint is still there.
void save_checkpoint(const std::filesystem::path& file, const TrainingState& state,
                     const TrainingPosition& position);

/// CheckpointError when the file was cut short or edited, or is of another model.
TrainingPosition load_checkpoint(const std::filesystem::path& file, const TrainingState& state);

/// Throws Error that names a tensor with an element that is not finite: the weights of a training
/// that blew up must not take the place of a checkpoint that is sound.
void check_finite(const StateDict& state);

/// A weight file of Assay: safetensors with a checksum of all tensors and metadata under
/// "checksum", which is returned.
std::string write_checked(const std::filesystem::path& file, SafeTensors content);
/// CheckpointError when the content does not fit its checksum; a file without one (of PyTorch's,
/// say) is taken as it is.
SafeTensors read_checked(const std::filesystem::path& file);

}  // namespace assay
