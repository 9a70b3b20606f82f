// Vectors for the *_simd.cpp files. Each of these files is compiled once per instruction set, with
// ASSAY_ISA = portable | avx2 | avx512 as the name of its namespace.
//
// Rules for such a file (a test looks at its symbols with nm): everything is in
// assay::cpu::ASSAY_ISA; it includes no standard containers or algorithms and no header with inline
// functions other than always_inline ones, because the linker would keep one copy of an inline
// function for the whole program, perhaps the one compiled for AVX-512.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifndef ASSAY_ISA
#error "simd.h is for files built by assay_isa_sources() or assay_tile_sources()"
#endif

#define ASSAY_INLINE inline __attribute__((always_inline))

namespace assay::cpu::ASSAY_ISA {

#if defined(__AVX512F__) || defined(ASSAY_EMULATED_TILES)  // there compilers split a register
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

/// One register of floats, and of the 32-bit integers beside it. Arithmetic operators and
/// comparisons work lane by lane (GCC and Clang vector extensions).
typedef float vf __attribute__((vector_size(kLanes * 4)));
typedef int32_t vi __attribute__((vector_size(kLanes * 4)));
typedef float vf_unaligned __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

ASSAY_INLINE vf load(const float* p) {
  return *reinterpret_cast<const vf_unaligned*>(p);
}
ASSAY_INLINE void store(float* p, vf v) {
  *reinterpret_cast<vf_unaligned*>(p) = v;
}
ASSAY_INLINE vf broadcast(float f) {
  return f - vf{};
}

/// The first `count` < kLanes lanes; the others are 0.
ASSAY_INLINE vf load_first(const float* p, int count) {
  vf v{};
  for (int i = 0; i < count; ++i) v[i] = p[i];
  return v;
}
ASSAY_INLINE void store_first(float* p, vf v, int count) {
  for (int i = 0; i < count; ++i) p[i] = v[i];
}

ASSAY_INLINE vf select(vi mask, vf a, vf b) {
  return mask ? a : b;
}
ASSAY_INLINE vf max(vf a, vf b) {
  return a > b ? a : b;
}
ASSAY_INLINE vf min(vf a, vf b) {
  return a < b ? a : b;
}

/// The sum of all lanes, in a fixed tree order.
ASSAY_INLINE float sum(vf v) {
  float lane[kLanes];
  store(lane, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  return lane[0];
}

}  // namespace assay::cpu::ASSAY_ISA
