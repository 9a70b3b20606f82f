// Registers of floats from and to bf16 in memory, for *_simd.cpp files. The functions of bf16.h are
// inline and must not be called there.
#pragma once

#include "kernels/runtime/bf16.h"
#include "kernels/runtime/simd.h"

namespace assay::cpu::ASSAY_ISA {

typedef uint32_t vu __attribute__((vector_size(kLanes * 4)));
typedef uint16_t vh __attribute__((vector_size(kLanes * 2)));
typedef uint16_t vh_unaligned __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));

ASSAY_INLINE vf load(const bf16* p) {
  const vh bits = *reinterpret_cast<const vh_unaligned*>(p);
  return (vf)(__builtin_convertvector(bits, vu) << 16);
}
/// The bits of v rounded to bf16, as by bf16::bf16(float). vcvtneps2bf16 would flush subnormals.
ASSAY_INLINE vh rounded_bits(vf v) {
  const vu u = (vu)v;
  const vu even = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const vi number = v == v;
  return __builtin_convertvector((even & (vu)number) | (~(vu)number & 0x7fffu), vh);
}
ASSAY_INLINE void store(bf16* p, vf v) {
  *reinterpret_cast<vh_unaligned*>(p) = rounded_bits(v);
}

/// The first `count` < kLanes lanes; the others are 0.
ASSAY_INLINE vf load_first(const bf16* p, int count) {
  vu v{};
  for (int i = 0; i < count; ++i) v[i] = static_cast<uint32_t>(p[i].bits) << 16;
  return (vf)v;
}
ASSAY_INLINE void store_first(bf16* p, vf v, int count) {
  const vh bits = rounded_bits(v);
  for (int i = 0; i < count; ++i) p[i].bits = bits[i];
}

}  // namespace assay::cpu::ASSAY_ISA
