// The training loop of every model: epochs of shuffled batches, history.csv, a checkpoint after
// each epoch, resume, and early stopping for models with a validation loss.
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

/// A training: step, batches, validation.
struct TrainingTask {
  std::string model;  ///< for checkpoints
  TrainingStep& step;
  BatchLoader& batches;
  /// Called after each epoch; may leave the module in training or inference mode. Null: no early
  /// stopping, and the last weights are kept.
  std::function<double()> validation_loss = nullptr;
  /// Steps per epoch; after each epoch a line of history.csv and a checkpoint are written. 0: one
  /// pass over the images. Endless batches need a number.
  int64_t epoch_steps = 0;
  /// Called every `sample_every` steps and after the last one, when all losses so far are finite.
  std::function<void(int64_t step)> sample = nullptr;
  int64_t sample_every = 0;
};

/// Progress of a training after a step.
struct TrainingProgress {
  int64_t step, max_steps;
  int epoch;         ///< from 1
  double loss;       ///< the first metric of the step
  std::string note;  ///< if not empty, shown instead of epoch and loss
};
struct TrainingHooks {
  std::function<void(const TrainingProgress&)> progress = [](const TrainingProgress&) {};
  std::function<bool()> stop_requested = [] { return false; };
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

/// Thrown after a stop was requested and the checkpoint was written.
struct Interrupted : Error {
  using Error::Error;
};

struct TrainingResult {
  int epochs = 0;  ///< including those before a resume
  int64_t steps = 0;
  int best_epoch = 0;  ///< from 1; 0 without validation
  double best_validation_loss = 0;
  History history;
};

/// Trains until early stopping or the limits of `config`, from the folder's checkpoint if there is
/// one. With validation the module has the best weights at the end, unless keep_last is set. Error
/// that names the step if a loss is not finite; Interrupted.
TrainingResult train(const TrainingTask& task, const RunConfig& config, const RunFolder& folder,
                     const TrainingHooks& hooks);

/// The result of train() for a training that has ended, read from its history.csv; CheckpointError
/// if there is none. `train_images`: images per epoch.
TrainingResult read_result(const RunConfig& config, const RunFolder& folder, size_t train_images);

/// Mean loss of the step's network over `images` of the store, in inference mode. Those in `noisy`
/// get noise.
double mean_loss(NetworkStep& step, const RunConfig& config, const ImageStore& store,
                 const std::vector<size_t>& images, const std::vector<size_t>& noisy = {});

}  // namespace assay
