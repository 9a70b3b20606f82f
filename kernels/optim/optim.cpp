#include "kernels/optim/optim.h"

#include "kernels/optim/optim_backends.h"
#include "kernels/optim/optim_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {

template <class T>
void rmsprop_update(Context& ctx, const RmspropStep& o, const std::vector<OptimSlot<T>>& slots) {
  ASSAY_DISPATCH(T, ctx, rmsprop_update, o, slots);
}

template <class T>
void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<T>>& slots) {
  ASSAY_CHECK(o.t >= 1, "adam_update: steps count from 1, t is {}", o.t);
  ASSAY_DISPATCH(T, ctx, adam_update, o, slots);
}

void write_constants(Context& ctx, const RmspropStep& o, float* constants) {
  ASSAY_DISPATCH(float, ctx, write_constants, formula_of<float>(o), constants);
}

void write_constants(Context& ctx, const AdamStep& o, float* constants) {
  ASSAY_DISPATCH(float, ctx, write_constants, formula_of<float>(o), constants);
}

#define ASSAY_INSTANTIATE(T)                                            \
  template void rmsprop_update(Context& ctx, const RmspropStep& o,      \
                               const std::vector<OptimSlot<T>>& slots); \
  template void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<T>>& slots)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
#undef ASSAY_INSTANTIATE

}  // namespace assay
