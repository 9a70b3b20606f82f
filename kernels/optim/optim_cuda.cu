// All parameters in one launch, with the sums of gradients that their kernels left as parts: the
// table of slots is a kernel argument, and a block finds its slot by binary search.
//
//   slots     | 0: 5 blocks   | 1: 1 | 2: 3 blocks  | ...
//   blockIdx  0  1  2  3  4     5      6  7  8
#include "kernels/optim/optim_backends.h"
#include "kernels/optim/optim_constants.h"
#include "kernels/reduce/partial_sum.cuh"
#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/step_packs.h"

namespace assay::cuda {
namespace {

constexpr int kMaxSlots = 48;  // the table stays below the 4 KiB that kernel arguments may have

struct Slot {
  DeviceSum dw;
  float *w, *m, *v;
};
struct SlotTable {
  int count;
  unsigned first_block[kMaxSlots + 1];  // of each slot, and of the end
  Slot slots[kMaxSlots];
};
static_assert(sizeof(SlotTable) < 4000);

/// The formula, as a kernel argument or in device memory.
template <class Formula>
struct Constants {
  Formula value;
  const float* memory;
  __device__ Formula get() const {
    return memory != nullptr ? *reinterpret_cast<const Formula*>(memory) : value;
  }
};

struct Rmsprop {
  Constants<RmspropFormula<float>> constants;
  __device__ void operator()(const Slot& s, int64_t i, float dw) const {
    constants.get().update(dw, s.w[i], s.v[i]);
  }
};
struct Adam {
  Constants<AdamFormula<float>> constants;
  __device__ void operator()(const Slot& s, int64_t i, float dw) const {
    constants.get().update(dw, s.w[i], s.m[i], s.v[i]);
  }
};

template <class Formula>
__global__ void store_constants(Formula value, Formula* to) {
  *to = value;
}

template <class Update>
__global__ void __launch_bounds__(kThreads, 6)  // at most 40 registers
    update_slots(const __grid_constant__ SlotTable table, Update update) {
  int low = 0, high = table.count;  // the slot is in [low, high)
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (blockIdx.x >= table.first_block[middle])
      low = middle;
    else
      high = middle;
  }
  const Slot& slot = table.slots[low];
  slot.dw.for_each(blockIdx.x - table.first_block[low],
                   [&](int64_t i, float dw) { update(slot, i, dw); });
}

template <class Update>
void update_all(Context& ctx, const std::vector<OptimSlot<float>>& slots, const Update& update) {
  SlotTable table{};
  unsigned blocks = 0;
  const auto flush = [&] {
    table.first_block[table.count] = blocks;
    if (table.count > 0)
      launch(update_slots<Update>, blocks, kThreads, 0, stream_of(ctx), table, update);
    table.count = 0;
    blocks = 0;
  };
  for (const OptimSlot<float>& slot : slots) {
    if (slot.n == 0) continue;
    if (table.count == kMaxSlots) flush();
    table.first_block[table.count] = blocks;
    const DeviceSum dw =
        slot.sum != nullptr ? DeviceSum::of(*slot.sum) : DeviceSum::of(slot.dw, slot.n);
    table.slots[table.count++] = {dw, slot.w, slot.m, slot.v};
    blocks += blocks_for(slot.n, dw.of_block());
  }
  flush();
  if (ctx.step_packs != nullptr) ctx.step_packs->forget();
}

}  // namespace

void rmsprop_update(Context& ctx, const RmspropStep& o,
                    const std::vector<OptimSlot<float>>& slots) {
  update_all(ctx, slots, Rmsprop{{formula_of<float>(o), o.constants}});
}

void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<float>>& slots) {
  update_all(ctx, slots, Adam{{formula_of<float>(o), o.constants}});
}

void write_constants(Context& ctx, const RmspropFormula<float>& f, float* constants) {
  launch(store_constants<RmspropFormula<float>>, 1, 1, 0, stream_of(ctx), f,
         reinterpret_cast<RmspropFormula<float>*>(constants));
}

void write_constants(Context& ctx, const AdamFormula<float>& f, float* constants) {
  launch(store_constants<AdamFormula<float>>, 1, 1, 0, stream_of(ctx), f,
         reinterpret_cast<AdamFormula<float>*>(constants));
}

}  // namespace assay::cuda
