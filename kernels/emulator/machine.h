// The functions that kernels call. kernels/runtime/cuda/ptx.cuh and the CUDA built-ins in
// language.h and intrinsics.h wrap them. All of them act on the calling CUDA thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>

#include "kernels/emulator/site.h"
#include "kernels/emulator/vector_types.h"
#include "kernels/runtime/error.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

namespace assay::emulator {

/// An error in a kernel. The message names the block, the thread and the source line.
struct Error : DeviceError {
  using DeviceError::DeviceError;
};

/// The built-in variables of a CUDA thread.
struct BuiltIns {
  uint3 thread_index, block_index;
  dim3 block_size, grid_size;
};
/// The variables of the CUDA thread that runs on this OS thread; nullptr in host code.
extern constinit thread_local BuiltIns* current;

/// Reports an error of the running kernel and abandons the launch; in host code throws Error.
[[noreturn]] void fail(const std::string& what);

/// Runs body() once for every thread of every block. Throws Error with the report of the first
/// error. Called by the streams; kernels are launched through assay::cuda::launch.
void run_grid(dim3 grid, dim3 block, size_t dynamic_shared, const std::function<void()>& body);

// ---- barriers (barriers.cpp)
void sync_threads(Site site);
/// bar.sync and bar.arrive: `threads` of the block, a multiple of 32, meet at barrier `id` < 16.
void named_barrier_sync(unsigned id, unsigned threads, Site site);
void named_barrier_arrive(unsigned id, unsigned threads, Site site);

/// __threadfence(): orders the memory accesses of OS threads. The checker ignores it.
void thread_fence();

// ---- collectives of a warp and of a warpgroup (collectives.cpp)
/// An operation of all lanes in a mask. Each lane leaves a pointer to its operands and waits; the
/// last lane to arrive runs execute(operands of all 32 lanes, mask) for all.
struct WarpOperation {
  const char* name;
  void (*execute)(void* const* operands, uint32_t mask);
};
void warp_collective(const WarpOperation& operation, uint32_t mask, void* operands, Site site);
/// A WarpOperation over the 128 threads of a warpgroup.
struct WarpgroupOperation {
  const char* name;
  void (*execute)(void* const* operands);
};
void warpgroup_collective(const WarpgroupOperation& operation, void* operands, Site site);
void sync_warp(uint32_t mask, Site site);

// ---- shared memory (shared_memory.cpp)
void* dynamic_shared();
int new_shared_variable();
void* shared_variable_storage(int id, size_t bytes, size_t align);
template <class T, class Tag>
T& shared_variable(Tag) {
  static const int id = new_shared_variable();
  return *static_cast<T*>(
      shared_variable_storage(id, sizeof(T), alignof(T) < 16 ? 16 : alignof(T)));
}
/// The offset of `p` in the 32-bit window of shared memory, as __cvta_generic_to_shared.
uint32_t shared_address(const void* p);
/// The inverse of shared_address(), for `bytes` that must lie in one variable.
void* shared_pointer(uint32_t address, size_t bytes);

// ---- check mode (check.cpp)
/// Notes an access of the running thread, made at code address `pc`.
void note_access(const void* p, size_t bytes, bool write, const void* pc);
void note_atomic(const void* p, size_t bytes);
/// The two halves of cuda::last_block(), by which blocks pass data to the last of them through
/// global memory. What a block wrote before its note_release() is ordered before what another block
/// does after its note_acquire() of the same `object`.
void note_release(const void* object);
void note_acquire(const void* object);

}  // namespace assay::emulator
