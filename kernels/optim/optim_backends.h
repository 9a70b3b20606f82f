// The implementations behind optim.h; the dispatch in optim.cpp picks one.
#pragma once

#include "kernels/optim/optim.h"
#include "kernels/optim/optim_formula.h"

namespace assay {
namespace cpu {
void rmsprop_update(Context& ctx, const RmspropStep& o, const std::vector<OptimSlot<float>>& slots);
void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<float>>& slots);
void write_constants(Context& ctx, const RmspropFormula<float>& f, float* constants);
void write_constants(Context& ctx, const AdamFormula<float>& f, float* constants);
}  // namespace cpu

namespace cuda {
void rmsprop_update(Context& ctx, const RmspropStep& o, const std::vector<OptimSlot<float>>& slots);
void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<float>>& slots);
void write_constants(Context& ctx, const RmspropFormula<float>& f, float* constants);
void write_constants(Context& ctx, const AdamFormula<float>& f, float* constants);
}  // namespace cuda
}  // namespace assay
