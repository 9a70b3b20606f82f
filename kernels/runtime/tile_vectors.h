// Registers of 16 floats, and bf16 values in them and in pairs, for files built by
// assay_tile_sources(). Native and emulated kernels give the same bits: both round to nearest even
// and treat subnormal floats as 0, as vcvtneps2bf16 does.
#pragma once

#include "kernels/runtime/simd.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace assay::cpu::ASSAY_ISA {

static_assert(kLanes == 16, "tiles have rows of 16 floats");

typedef uint32_t vu __attribute__((vector_size(64)));
/// 16 or 32 values of 16 bits, mostly bf16; 16 bytes.
typedef uint16_t Half __attribute__((vector_size(32)));
typedef uint16_t Words __attribute__((vector_size(64)));
typedef uint8_t Bytes __attribute__((vector_size(16)));

/// A register at any address.
template <class V>
ASSAY_INLINE V load_as(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class V>
ASSAY_INLINE void store_as(void* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}
// The first `count` values, 16 at most; the others are 0 and are not read, or are not written. A
// memcpy of `count` values would be a call, before which every register must be saved, and a mask
// makes a store slower.
ASSAY_INLINE Half load_first_half(const void* p, int count) {
  if (count >= 16) return load_as<Half>(p);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return (Half)_mm256_maskz_loadu_epi16(static_cast<uint16_t>((1u << count) - 1), p);
#else
  Half v{};
  __builtin_memcpy(&v, p, static_cast<size_t>(2 * count));
  return v;
#endif
}
ASSAY_INLINE void store_first_half(void* p, Half v, int count) {
  if (count >= 16) return store_as(p, v);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  _mm256_mask_storeu_epi16(p, static_cast<uint16_t>((1u << count) - 1), (__m256i)v);
#else
  __builtin_memcpy(p, &v, static_cast<size_t>(2 * count));
#endif
}
ASSAY_INLINE Bytes load_first_bytes(const void* p, int count) {
  if (count >= 16) return load_as<Bytes>(p);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return (Bytes)_mm_maskz_loadu_epi8(static_cast<uint16_t>((1u << count) - 1), p);
#else
  Bytes v{};
  __builtin_memcpy(&v, p, static_cast<size_t>(count));
  return v;
#endif
}
ASSAY_INLINE void store_first_bytes(void* p, Bytes v, int count) {
  if (count >= 16) return store_as(p, v);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  _mm_mask_storeu_epi8(p, static_cast<uint16_t>((1u << count) - 1), (__m128i)v);
#else
  __builtin_memcpy(p, &v, static_cast<size_t>(count));
#endif
}

// GCC 12 compiles __builtin_convertvector between these types to scalar code.
ASSAY_INLINE vu widen_bits(Half h) {
#if defined(__AVX512F__)
  return (vu)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)h);  // masked because of GCC bug 105593
#else
  return __builtin_convertvector(h, vu);
#endif
}
ASSAY_INLINE Half widen_bytes(Bytes b) {
#if defined(__AVX512F__)
  return (Half)_mm256_cvtepu8_epi16((__m128i)b);
#else
  return __builtin_convertvector(b, Half);
#endif
}
ASSAY_INLINE Bytes narrow_to_bytes(vi v) {
#if defined(__AVX512F__)
  return (Bytes)_mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)v);
#else
  return __builtin_convertvector(v, Bytes);
#endif
}

/// 16 bf16 values as floats.
ASSAY_INLINE vf widen(Half h) {
  return (vf)(widen_bits(h) << 16);
}
/// 16 floats rounded to bf16.
ASSAY_INLINE Half round_to_bf16(vf v) {
#if defined(__AVX512BF16__)
  return (Half)_mm512_cvtneps_pbh((__m512)v);
#else
  const vu u = (vu)v, magnitude = u & 0x7fffffffu;
  const vu normal = (vu)(magnitude >= 0x00800000u), nan = (vu)(magnitude > 0x7f800000u);
  const vu rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const vu number = (rounded & normal) | ((u >> 16) & 0x8000u & ~normal);
  return __builtin_convertvector((number & ~nan) | (((u >> 16) | 0x40u) & nan), Half);
#endif
}
/// 32 floats rounded to bf16.
ASSAY_INLINE Words round_to_bf16(vf low, vf high) {
#if defined(__AVX512BF16__)
  return (Words)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
#else
  const Half halves[2] = {round_to_bf16(low), round_to_bf16(high)};
  return load_as<Words>(halves);
#endif
}

/// The first `count` of 32 values; the others are 0 and are not read.
ASSAY_INLINE Words load_first_words(const void* p, int count) {
#if defined(__AVX512BW__)
  return (Words)_mm512_maskz_loadu_epi16(count >= 32 ? ~0u : (1u << count) - 1, p);
#else
  Words v{};
  __builtin_memcpy(&v, p, static_cast<size_t>(2 * count));
  return v;
#endif
}
ASSAY_INLINE void store_first_words(void* p, Words v, int count) {
#if defined(__AVX512BW__)
  _mm512_mask_storeu_epi16(p, count >= 32 ? ~0u : (1u << count) - 1, (__m512i)v);
#else
  __builtin_memcpy(p, &v, static_cast<size_t>(2 * count));
#endif
}
/// 64 aligned bytes, past the caches. fence_streams() comes before another thread may read them.
ASSAY_INLINE void stream(void* p, Words v) {
#if defined(__AVX512F__)
  _mm512_stream_si512(static_cast<__m512i*>(p), (__m512i)v);
#else
  store_as(p, v);
#endif
}
ASSAY_INLINE void fence_streams() {
#if defined(__AVX512F__)
  _mm_sfence();
#endif
}

/// The pairs a(0) b(0), a(1) b(1) ...
ASSAY_INLINE vu pairs(Half a, Half b) {
  return widen_bits(a) | widen_bits(b) << 16;
}

/// Exchanges element j of register i with element i of register j, for 16 registers. Step by step
/// blocks of 1, 2, 4 and 8 elements change places.
ASSAY_INLINE void transpose(vu* v) {
  const auto exchange = [](vu* of, int distance, auto low, auto high) {
    for (int i = 0; i < 16; ++i) {
      if ((i & distance) != 0) continue;
      const vu a = of[i], b = of[i + distance];
      of[i] = low(a, b);
      of[i + distance] = high(a, b);
    }
  };
#define ASSAY_SHUFFLE(...)                             \
  [](vu a, vu b) __attribute__((always_inline)) {      \
    return __builtin_shufflevector(a, b, __VA_ARGS__); \
  }
  exchange(v, 1, ASSAY_SHUFFLE(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
           ASSAY_SHUFFLE(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31));
  exchange(v, 2, ASSAY_SHUFFLE(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
           ASSAY_SHUFFLE(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31));
  exchange(v, 4, ASSAY_SHUFFLE(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
           ASSAY_SHUFFLE(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31));
  exchange(v, 8, ASSAY_SHUFFLE(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
           ASSAY_SHUFFLE(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
#undef ASSAY_SHUFFLE
}

ASSAY_INLINE int min(int a, int b) {
  return a < b ? a : b;
}
ASSAY_INLINE int max(int a, int b) {
  return a > b ? a : b;
}
ASSAY_INLINE int clamp(int v, int low, int high) {
  return v < low ? low : v > high ? high : v;
}

}  // namespace assay::cpu::ASSAY_ISA
