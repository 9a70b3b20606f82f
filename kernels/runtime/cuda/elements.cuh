// Four or two neighbouring elements, float or bf16, as floats: one access.
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

/// Whether p, which may be null, is a multiple of the size of four elements.
template <class T>
ASSAY_HD bool aligned_by_4(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % (4 * sizeof(T)) == 0;
}

/// The bf16 in the low and in the high half of a word.
__device__ __forceinline__ float low_bf16(uint32_t two) {
  return __uint_as_float(two << 16);
}
__device__ __forceinline__ float high_bf16(uint32_t two) {
  return __uint_as_float(two & 0xffff0000u);
}

__device__ __forceinline__ float4 load_4(const float* p) {
  return ldv<float4>(p);
}
__device__ __forceinline__ float4 load_4(const bf16* p) {
  const uint2 v = ldv<uint2>(p);
  return make_float4(low_bf16(v.x), high_bf16(v.x), low_bf16(v.y), high_bf16(v.y));
}
__device__ __forceinline__ void store_4(float* p, float4 v) {
  stv(p, v);
}
__device__ __forceinline__ void store_4(bf16* p, float4 v) {
  stv(p, make_uint2(ptx::cvt_bf16x2(v.x, v.y), ptx::cvt_bf16x2(v.z, v.w)));
}

__device__ __forceinline__ float2 load_2(const float* p) {
  return ldv<float2>(p);
}
__device__ __forceinline__ float2 load_2(const bf16* p) {
  const uint32_t v = ldv<uint32_t>(p);
  return make_float2(low_bf16(v), high_bf16(v));
}
__device__ __forceinline__ void store_2(float* p, float first, float second) {
  stv(p, make_float2(first, second));
}
__device__ __forceinline__ void store_2(bf16* p, float first, float second) {
  stv(p, ptx::cvt_bf16x2(first, second));
}

}  // namespace assay::cuda
