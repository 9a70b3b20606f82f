// A training step that a CUDA device records once and replays from then on: one call in place of
// hundreds of launches.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/runtime/transfer.h"
#include "layers/module.h"
#include "optim/optimizer.h"

namespace assay {

/// A replay runs kernels only, so what the host does in a step is done here for it: optimizers
/// advance, batches are counted, tensors that the kernels wrote get new versions. The step must
/// keep StepGraph's promises: all that differs between steps lies in tensors that are made before
/// and filled before each run, it calls apply() of its optimizers, and it reads nothing back
/// (Readback does that behind it).
class RecordedStep {
 public:
  /// An optimizer, and how often a step applies it.
  struct Updates {
    Optimizer* optimizer;
    int count = 1;
  };
  /// Those that the step changes; they outlive this.
  RecordedStep(std::vector<Module*> modules, std::vector<Updates> optimizers);
  ~RecordedStep();

  /// Whether steps are recorded here: the current context is of a CUDA device, and nobody looks at
  /// single operations (check_finite()). ASSAY_GRAPH=0 in the environment says no.
  static bool wanted();
  void run(const std::function<void()>& step);

 private:
  std::vector<int64_t*> counts() const;
  void renew_versions() const;

  std::vector<Module*> modules_;
  std::vector<Updates> optimizers_;
  std::unique_ptr<StepRecorder> recorder_;
  std::vector<int64_t> counted_;  // by one step, for each of counts()
};

}  // namespace assay
