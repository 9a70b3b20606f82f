// bfloat16: the upper half of a float, on the host, the device and the emulator with the same bits.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/runtime/device.h"
#if defined(__CUDACC__)
#include <cuda_bf16.h>
#endif

namespace assay {

struct bf16 {
  uint16_t bits;

  bf16() = default;
  /// Rounds to nearest, ties to even; NaN becomes 0x7fff, as cvt.rn.bf16.f32 does.
  ASSAY_HD explicit bf16(float f) {
#if defined(__CUDA_ARCH__)
    bits = __bfloat16_as_ushort(__float2bfloat16_rn(f));
#else
    const uint32_t u = std::bit_cast<uint32_t>(f);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<uint16_t>(nan ? 0x7fffu : (u + 0x7fffu + (u >> 16 & 1)) >> 16);
#endif
  }
  ASSAY_HD explicit operator float() const {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(static_cast<uint32_t>(bits) << 16);
#else
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
#endif
  }
};
static_assert(sizeof(bf16) == 2);

/// The type of parameters, statistics and sums beside activations of type T: float beside bf16.
template <class T>
struct MasterOf {
  using type = T;
};
template <>
struct MasterOf<bf16> {
  using type = float;
};
template <class T>
using Master = typename MasterOf<T>::type;

}  // namespace assay
