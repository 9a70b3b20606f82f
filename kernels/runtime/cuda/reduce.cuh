// Reductions inside a block, and the pattern by which the last block of a grid finishes a sum.
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

/// The sum over the 32 lanes of a full warp, in every lane, with the same bits.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(~0u, value, distance);
  return value;
}
template <class T>
__device__ __forceinline__ T warp_max(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const T other = __shfl_xor_sync(~0u, value, distance);
    value = value < other ? other : value;
  }
  return value;
}

/// The sum over a block of kThreads (a multiple of 32), in every thread, in a fixed order. All
/// threads call it; it begins and ends with a barrier, so it may be called again at once.
template <int kThreads, class T>
__device__ __forceinline__ T block_sum(T value) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024);
  ASSAY_SHARED(T, parts, [32]);
  value = warp_sum(value);
  __syncthreads();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  T sum = parts[0];
#pragma unroll
  for (int w = 1; w < kThreads / 32; ++w) sum += parts[w];
  return sum;
}

/// True, for all threads, in the last of the `blocks` blocks that call it on `*counter`; all
/// threads call it, and *counter is 0 before and after. The last block may read what all blocks
/// wrote to global memory before (with plain loads, through pointers that are not __restrict__
/// const). Blocks do not wait for each other, so they cannot deadlock. Parts must be added in a
/// fixed order to give the same bits every time. (CUDA C++ Programming Guide, "Memory Fence
/// Functions".) `is_last` is shared memory for the answer.
__device__ __forceinline__ bool last_block(unsigned* counter, unsigned blocks, bool* is_last) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
#if !defined(__CUDACC__)
    emulator::note_release(counter);
#endif
    is_last[0] = atomicInc(counter, blocks - 1) == blocks - 1;
  }
  __syncthreads();
  const bool last = is_last[0];
  if (last) {
    __threadfence();
#if !defined(__CUDACC__)
    emulator::note_acquire(counter);
#endif
  }
  return last;
}
__device__ __forceinline__ bool last_block(unsigned* counter, unsigned blocks) {
  ASSAY_SHARED(bool, is_last, [1]);
  return last_block(counter, blocks, is_last);
}

}  // namespace assay::cuda
