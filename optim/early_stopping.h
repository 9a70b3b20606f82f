// Early stopping: ends a training whose validation loss no longer improves, and keeps the best
// weights.
#pragma once

#include <cstdint>
#include <limits>

#include "layers/module.h"
#include "tensor/safetensors.h"

namespace assay {

struct EarlyStoppingOptions {
  int patience = 5;         ///< epochs without a new best loss
  int64_t min_steps = 400;  ///< optimizer steps before it may stop
};

class EarlyStopping {
 public:
  explicit EarlyStopping(const EarlyStoppingOptions& options) : options_(options) {}

  /// Call after each epoch with the number of all optimizer steps so far. Keeps a copy of the
  /// module's state if the loss is a new best; NaN never is. Returns true if training should stop.
  bool update(double validation_loss, int64_t steps, const Module& module);

  bool has_best() const { return !best_.empty(); }
  double best_loss() const { return best_loss_; }
  int best_epoch() const { return best_epoch_; }  ///< counted from 0; -1 before the first
  /// Restores the module's best state, if there is one.
  void restore_best(const Module& module) const;

  /// The state that a resumed run needs, as entries "early_stopping.*".
  StateDict save() const;
  /// Throws CheckpointError, which starts with `source`. Ignores other entries of `state`.
  void load(const StateDict& state, const std::string& source);

 private:
  EarlyStoppingOptions options_;
  double best_loss_ = std::numeric_limits<double>::infinity();
  int best_epoch_ = -1, epochs_ = 0;
  StateDict best_;
};

}  // namespace assay
