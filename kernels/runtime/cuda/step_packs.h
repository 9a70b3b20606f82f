// The packed forms of weights in a recorded step. Plain C++.
#pragma once

#include <memory>

namespace assay {

/// Inside of a recorded step weights change only where an optimizer updates them, so a packed form
/// is made once and used until then. When one is missing, all that earlier runs of the step wanted
/// are made with it, in one launch. The forms are known to kernels/conv2d/cuda/weights.cu.
class StepPacks {
 public:
  virtual ~StepPacks() = default;
  /// The weights have changed: every form is to be made again, into the same memory.
  virtual void forget() = 0;
};

namespace cuda {
/// Defined in kernels/conv2d/cuda/weights.cu.
std::unique_ptr<StepPacks> new_step_packs();
}  // namespace cuda

}  // namespace assay
