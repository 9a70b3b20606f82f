// Stops a training that no longer gets better and keeps the best weights.
#pragma once

#include <cstdint>
#include <limits>

#include "layers/module.h"
#include "tensor/safetensors.h"

namespace assay {

struct EarlyStoppingOptions {
  int patience = 5;         ///< epochs without a new best loss
  int64_t min_steps = 400;  ///< never stops before so many optimizer steps
};

class EarlyStopping {
 public:
  explicit EarlyStopping(const EarlyStoppingOptions& options) : options_(options) {}

  /// Call after each epoch, `steps` counting all optimizer steps so far. Keeps a copy of the
  /// module's state when the loss is a new best. True: stop now. A NaN is never a best.
  bool update(double validation_loss, int64_t steps, const Module& module);

  bool has_best() const { return !best_.empty(); }
  double best_loss() const { return best_loss_; }
  int best_epoch() const { return best_epoch_; }  ///< counted from 0; -1 before the first
  /// Gives the module its best state back; nothing happens when there is none.
  void restore_best(const Module& module) const;

  /// "early_stopping.*": what a resumed run needs. load throws CheckpointError and, like
  /// Optimizer::load, leaves other entries alone.
  StateDict save() const;
  void load(const StateDict& state, const std::string& source);

 private:
  EarlyStoppingOptions options_;
  double best_loss_ = std::numeric_limits<double>::infinity();
  int best_epoch_ = -1, epochs_ = 0;
  StateDict best_;
};

}  // namespace assay
