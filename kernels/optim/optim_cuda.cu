// All parameters in one launch: the table of slots is a kernel argument, and a block finds by
// binary search the slot of its 4 kThreads elements.
//
//   slots     | 0: 5 blocks   | 1: 1 | 2: 3 blocks  | ...
//   blockIdx  0  1  2  3  4     5      6  7  8
#include "kernels/optim/optim_backends.h"
#include "kernels/optim/optim_constants.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

constexpr int kElements = 4;   // per thread
constexpr int kMaxSlots = 64;  // the table stays below the 4 KiB that kernel arguments may have

struct SlotTable {
  int count;
  unsigned first_block[kMaxSlots + 1];  // of each slot, and of the end
  OptimSlot<float> slots[kMaxSlots];
};
static_assert(sizeof(SlotTable) < 4000);

/// The formula, as a kernel argument or in device memory.
template <class Formula>
struct Constants {
  Formula value;
  const float* memory;
  __device__ const Formula& get() const {
    return memory != nullptr ? *reinterpret_cast<const Formula*>(memory) : value;
  }
};

struct Rmsprop {
  Constants<RmspropFormula<float>> constants;
  __device__ void operator()(const OptimSlot<float>& s, int64_t i) const {
    constants.get().update(s.dw[i], s.w[i], s.v[i]);
  }
};
struct Adam {
  Constants<AdamFormula<float>> constants;
  __device__ void operator()(const OptimSlot<float>& s, int64_t i) const {
    constants.get().update(s.dw[i], s.w[i], s.m[i], s.v[i]);
  }
};

template <class Formula>
__global__ void store_constants(Formula value, Formula* to) {
  *to = value;
}

template <class Update>
__global__ void __launch_bounds__(kThreads)
    update_slots(const __grid_constant__ SlotTable table, Update update) {
  int low = 0, high = table.count;  // the slot is in [low, high)
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (blockIdx.x >= table.first_block[middle])
      low = middle;
    else
      high = middle;
  }
  const OptimSlot<float>& slot = table.slots[low];
  const int64_t begin = int64_t{blockIdx.x - table.first_block[low]} * (kElements * kThreads);
#pragma unroll
  for (int j = 0; j < kElements; ++j) {
    const int64_t i = begin + j * kThreads + threadIdx.x;
    if (i < slot.n) update(slot, i);
  }
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
    table.slots[table.count++] = slot;
    blocks += blocks_for(slot.n, kElements * kThreads);
  }
  flush();
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
