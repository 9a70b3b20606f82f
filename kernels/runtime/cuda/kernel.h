// The first include of every CUDA source of Assay.
//
// nvcc gets the CUDA toolkit. Any other compiler gets the emulator (kernels/emulator), where the
// same source runs on the CPU; kernels/emulator/README.md has the rules that make this work.
#pragma once

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

/// ASSAY_SHARED(float, tile, [8][128 + 4]); declares shared memory.
#define ASSAY_SHARED(T, name, dims) __shared__ __align__(16) T name dims
/// ASSAY_DYNAMIC_SHARED(float, tile); a pointer to the dynamic part, aligned to 1024 bytes.
#define ASSAY_DYNAMIC_SHARED(T, name)                                     \
  extern __shared__ __align__(1024) unsigned char assay_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(assay_dynamic_shared)

#else

#include "kernels/emulator/language.h"

#endif

#include "kernels/runtime/bf16.h"
#include "kernels/runtime/cuda/launch.cuh"
#include "kernels/runtime/cuda/ptx.cuh"

namespace assay::cuda {

// Vector accesses as one transaction: ldv<float4>(p), stv(p, v). The address must be a multiple of
// the vector's size. (A host compiler may split a plain float4 copy; the emulator's profile and its
// check of alignment would then be wrong.)
#if defined(__SANITIZE_THREAD__) && !defined(__CUDACC__)
template <class V>
__attribute__((noinline, no_sanitize("thread"))) V ldv(const void* p) {
  emulator::note_access(p, sizeof(V), false, __builtin_return_address(0));
  return *static_cast<const V*>(p);
}
template <class V>
__attribute__((noinline, no_sanitize("thread"))) void stv(void* p, V v) {
  emulator::note_access(p, sizeof(V), true, __builtin_return_address(0));
  *static_cast<V*>(p) = v;
}
#else
template <class V>
__device__ __forceinline__ V ldv(const void* p) {
  return *static_cast<const V*>(p);
}
template <class V>
__device__ __forceinline__ void stv(void* p, V v) {
  *static_cast<V*>(p) = v;
}
#endif

}  // namespace assay::cuda
