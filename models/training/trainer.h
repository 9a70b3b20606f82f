// The loop over epochs that every model but the DCGAN trains by: shuffled batches, validation,
// early stopping, a checkpoint after each epoch.
#pragma once

#include <functional>
#include <string>

#include "data/loader.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "optim/early_stopping.h"
#include "optim/optimizer.h"

namespace assay {

/// What is trained, and on what.
struct TrainingTask {
  std::string model;  ///< for checkpoints
  Module& module;
  Optimizer& optimizer;
  BatchLoader& batches;
  /// Mean loss of a batch, recorded by the tape. On a CUDA device it may be recorded into a graph:
  /// it depends on the tensors of the batch alone and reads nothing back.
  std::function<Tensor(const Batch& batch)> loss;
  std::function<double()> validation_loss;
};

/// Steps done so far, and a few words on how it goes.
struct TrainingProgress {
  int64_t step, most_steps;
  int epoch;
  double loss;
  std::string note = {};  ///< in place of epoch and loss
};
struct TrainingHooks {
  std::function<void(const TrainingProgress&)> progress = [](const TrainingProgress&) {};
  std::function<bool()> stop_requested = [] { return false; };
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

/// Thrown after a stop was asked for and the checkpoint was written.
struct Interrupted : Error {
  using Error::Error;
};

struct TrainingResult {
  int epochs = 0;  ///< all, those before a resume included
  int64_t steps = 0;
  int best_epoch = 0;  ///< from 1
  double best_validation_loss = 0;
  double seconds = 0;  ///< sum over all epochs
};

/// Trains to the end of what `config` allows, going on from the folder's checkpoint where there is
/// one, and leaves the best weights in the module (the last with keep_last). Error that names epoch
/// and batch when the loss is not finite; Interrupted.
TrainingResult train(const TrainingTask& task, const RunConfig& config, const RunFolder& folder,
                     const TrainingHooks& hooks);

}  // namespace assay
