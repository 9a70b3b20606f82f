// CUDA C++ for an ordinary C++ compiler: keywords, vector types, built-in variables and shared
// memory, so that a .cu file compiles with g++ or clang++ unchanged.
//
// Only kernel sources include this (through kernels/runtime/cuda/kernel.h), because its macros
// would break other code.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/emulator/machine.h"
#include "kernels/emulator/vector_types.h"

// These keywords mean nothing here: every function runs on the CPU.
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __restrict__ __restrict
#define __shared__ static_assert(false, "declare shared memory with ASSAY_SHARED")

#define threadIdx (::assay::emulator::current->thread_index)
#define blockIdx (::assay::emulator::current->block_index)
#define blockDim (::assay::emulator::current->block_size)
#define gridDim (::assay::emulator::current->grid_size)
inline constexpr int warpSize = 32;

/// ASSAY_SHARED(float, tile, [8][128 + 4]); declares a reference `tile` to a float[8][132] that all
/// threads of the block share. The lambda's type, unique to the line, is the variable's identity.
#define ASSAY_SHARED(T, name, dims)  \
  using name##_shared_type = T dims; \
  name##_shared_type& name = ::assay::emulator::shared_variable<name##_shared_type>([] {})

/// ASSAY_DYNAMIC_SHARED(float, tile); a pointer to the memory whose size the launch gives; aligned
/// to 1024 bytes.
#define ASSAY_DYNAMIC_SHARED(T, name) \
  T* const name = static_cast<T*>(::assay::emulator::dynamic_shared())

inline void __syncthreads(assay::emulator::Site site = assay::emulator::Site::current()) {
  assay::emulator::sync_threads(site);
}
inline void __syncwarp(unsigned mask = 0xffffffffu,
                       assay::emulator::Site site = assay::emulator::Site::current()) {
  assay::emulator::sync_warp(mask, site);
}
inline void __threadfence() {
  assay::emulator::thread_fence();
}
inline void __threadfence_block() {}
[[noreturn]] inline void __trap() {
  assay::emulator::fail("__trap()");
}

#include "kernels/emulator/intrinsics.h"
