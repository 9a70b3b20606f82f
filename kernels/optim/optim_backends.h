// The implementations behind optim.h; the dispatch in optim.cpp picks one.
#pragma once

#include "kernels/optim/optim.h"

namespace assay {
namespace cpu {
void rmsprop_update(Context& ctx, const RmspropStep& o, const std::vector<OptimSlot<float>>& slots);
void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<float>>& slots);
}  // namespace cpu

namespace cuda {
void rmsprop_update(Context& ctx, const RmspropStep& o, const std::vector<OptimSlot<float>>& slots);
void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<float>>& slots);
}  // namespace cuda
}  // namespace assay
