// A training step that is recorded as a CUDA graph once and replayed from then on: one launch
// instead of hundreds.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/runtime/transfer.h"
#include "models/training/step.h"

namespace assay {

/// A replay runs kernels only, so this class repeats the host's part of a step: it advances the
/// optimizers, counts the batches of batch norm, and renews the versions of written tensors.
class RecordedStep {
 public:
  /// `step` outlives this. Error if the current context does not record.
  explicit RecordedStep(TrainingStep& step);
  ~RecordedStep();

  /// Whether steps are to be recorded: the current context is of a CUDA device, check_finite() is
  /// off and the environment has no ASSAY_GRAPH=0.
  static bool wanted();
  /// Runs the step. `inputs` must be the same tensors in every call, refilled before each.
  /// `on_loss` may copy the loss terms on the device (for Readback) but not read them.
  void run(const std::vector<Tensor>& inputs, const std::function<void(const LossTerm&)>& on_loss);

 private:
  std::vector<int64_t*> counts() const;
  void renew_versions() const;

  TrainingStep& step_;
  std::unique_ptr<StepRecorder> recorder_;
  std::vector<int64_t> counted_;  ///< how much one step adds to each of counts()
};

}  // namespace assay
