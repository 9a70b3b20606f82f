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
/// and filled before each run, it calls apply() of its optimizers, and it reads nothing back.
class RecordedStep {
 public:
  /// Those that the step changes; they outlive this.
  RecordedStep(std::vector<Module*> modules, std::vector<Optimizer*> optimizers);
  ~RecordedStep();

  /// Whether steps are recorded here: the current context is of a CUDA device, and nobody looks at
  /// single operations (check_finite()). ASSAY_GRAPH=0 in the environment says no.
  static bool wanted();
  void run(const std::function<void()>& step);

 private:
  std::vector<int64_t*> counts() const;
  void renew_versions() const;

  std::vector<Module*> modules_;
  std::vector<Optimizer*> optimizers_;
  std::unique_ptr<StepRecorder> recorder_;
  std::vector<int64_t> counted_;  // by one step, for each of counts()
};

}  // namespace assay
