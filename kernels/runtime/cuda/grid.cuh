// How kernels of independent elements cut their work into blocks.
#pragma once

#include <algorithm>

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

constexpr int kThreads = 256;  // of a block, unless a kernel needs another number

/// Number of blocks of `per_block` that cover `work`; at least one, because a grid must not be
/// empty.
inline unsigned blocks_for(int64_t work, int64_t per_block) {
  return static_cast<unsigned>(std::max<int64_t>(1, (work + per_block - 1) / per_block));
}

/// Groups of blocks of one kernel that can have a counter.
constexpr int kCounters = 1 << 14;
/// For last_block() of the kernels on the context's stream: kCounters zeros, which every kernel
/// leaves as zeros. Defined in cuda_context.cu.
unsigned* counters_of(const Context& ctx);

/// Index of this thread in a one-dimensional grid.
__device__ __forceinline__ int64_t global_thread() {
  return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

ASSAY_HD inline bool aligned16(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

}  // namespace assay::cuda
