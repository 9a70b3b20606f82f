// A training step that a CUDA device records once and replays from then on: one call in place of
// hundreds of launches.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/runtime/transfer.h"
#include "models/training/step.h"

namespace assay {

/// A replay runs kernels only, so what the host does in a step is done here for it: optimizers
/// advance, batch norm's batches are counted, tensors that the kernels wrote get new versions.
class RecordedStep {
 public:
  /// `step` outlives this. Error where the current context does not record.
  explicit RecordedStep(TrainingStep& step);
  ~RecordedStep();

  /// Whether steps are recorded here: the current context is of a CUDA device, and nobody looks at
  /// single operations (check_finite()). ASSAY_GRAPH=0 in the environment says no.
  static bool wanted();
  /// Runs the step. `inputs` are the same tensors in every call, filled anew before each; `on_loss`
  /// may copy the loss terms on the device (Readback brings them to the host), but not read them.
  void run(const std::vector<Tensor>& inputs, const std::function<void(const LossTerm&)>& on_loss);

 private:
  std::vector<int64_t*> counts() const;
  void renew_versions() const;

  TrainingStep& step_;
  std::unique_ptr<StepRecorder> recorder_;
  std::vector<int64_t> counted_;  ///< by how much one step raises each of counts()
};

}  // namespace assay
