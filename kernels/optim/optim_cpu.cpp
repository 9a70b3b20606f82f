#include <algorithm>
#include <cstring>

#include "kernels/optim/optim_backends.h"
#include "kernels/optim/optim_constants.h"
#include "kernels/optim/optim_simd.h"

namespace assay::cpu {
namespace {

constexpr int64_t kGrain = 1 << 14;

int64_t parts_of(const OptimSlot<float>& slot) {
  return (slot.n + kGrain - 1) / kGrain;
}

/// Calls f(slot, begin, end) for blocks of every slot, on all threads. Blocks of all slots are
/// numbered through, so that few large and many small parameters occupy the threads evenly.
template <class F>
void for_each_block(Context& ctx, const std::vector<OptimSlot<float>>& slots, const F& f) {
  int64_t parts = 0;
  for (const auto& slot : slots) parts += parts_of(slot);
  parallel_for(ctx, parts, [&](int64_t part) {
    auto slot = slots.begin();
    for (; part >= parts_of(*slot); ++slot) part -= parts_of(*slot);
    f(*slot, part * kGrain, std::min((part + 1) * kGrain, slot->n));
  });
}

}  // namespace

void rmsprop_update(Context& ctx, const RmspropStep& o,
                    const std::vector<OptimSlot<float>>& slots) {
  const auto formula = formula_of<float>(o);
  for_each_block(ctx, slots, [&](const OptimSlot<float>& s, int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(rmsprop_update, formula, end - begin, s.dw + begin, s.w + begin, s.v + begin);
  });
}

void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<float>>& slots) {
  const auto formula = formula_of<float>(o);
  for_each_block(ctx, slots, [&](const OptimSlot<float>& s, int64_t begin, int64_t end) {
    ASSAY_ISA_CALL(adam_update, formula, end - begin, s.dw + begin, s.w + begin, s.m + begin,
                   s.v + begin);
  });
}

void write_constants(Context&, const RmspropFormula<float>& f, float* constants) {
  std::memcpy(constants, &f, sizeof f);
}
void write_constants(Context&, const AdamFormula<float>& f, float* constants) {
  std::memcpy(constants, &f, sizeof f);
}

}  // namespace assay::cpu
