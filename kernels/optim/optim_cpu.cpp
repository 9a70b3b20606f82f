#include "kernels/optim/optim_backends.h"
#include "kernels/optim/optim_ref.h"

namespace assay::cpu {
void rmsprop_update(Context&, const RmspropStep& o, const std::vector<OptimSlot<float>>& slots) {
  ref::rmsprop_update(o, slots);
}
void adam_update(Context&, const AdamStep& o, const std::vector<OptimSlot<float>>& slots) {
  ref::adam_update(o, slots);
}
}  // namespace assay::cpu
