// The training loop of every model: epochs of shuffled batches, history.csv, a checkpoint after
// each epoch, resume; with validation also early stopping.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "models/run/config.h"
#include "models/run/folder.h"
#include "models/run/history.h"
#include "models/training/step.h"

namespace assay {

/// What is trained, and on what.
struct TrainingTask {
  std::string model;  ///< for checkpoints
  TrainingStep& step;
  BatchLoader& batches;
  /// Called after each epoch; may leave the module in either mode. Null: the training has no early
  /// stopping and keeps its last weights.
  std::function<double()> validation_loss = nullptr;
  /// Steps of an epoch: a line of history.csv and a checkpoint. 0: a pass over the images, or what
  /// is left of it; endless batches need a number.
  int64_t epoch_steps = 0;
  /// Called every `sample_every` steps and after the last one, when all losses so far are finite.
  std::function<void(int64_t step)> sample = nullptr;
  int64_t sample_every = 0;
};

/// Steps done so far, and how it goes.
struct TrainingProgress {
  int64_t step, max_steps;
  int epoch;         ///< from 1
  double loss;       ///< the first metric of the step
  std::string note;  ///< not empty: to be shown in place of epoch and loss
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
  int best_epoch = 0;  ///< from 1; 0 without validation
  double best_validation_loss = 0;
  History history;
};

/// Trains to the end of what `config` allows, going on from the folder's checkpoint where there is
/// one. A training with validation leaves the best weights in the module, unless keep_last is set.
/// Error that names the step when a loss is not finite; Interrupted.
TrainingResult train(const TrainingTask& task, const RunConfig& config, const RunFolder& folder,
                     const TrainingHooks& hooks);

/// What train() returned for a training that has ended, from its history.csv. An epoch had
/// `train_images` images. CheckpointError without one.
TrainingResult read_result(const RunConfig& config, const RunFolder& folder, size_t train_images);

/// Mean loss of the step's network over images of the store, in inference mode. `noisy` among them
/// get noise.
double mean_loss(NetworkStep& step, const RunConfig& config, const ImageStore& store,
                 const std::vector<size_t>& images, const std::vector<size_t>& noisy = {});

}  // namespace assay
