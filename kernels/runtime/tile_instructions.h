// The tile instructions of AMX, or the same in plain C++ where ASSAY_EMULATED_TILES is defined, for
// files built by assay_tile_sources().
//
// There are eight registers of 16 rows of 64 bytes. multiply<C, A, B>() adds a matrix product,
//
//   C (16 x 16 floats) += A (16 x 32 bf16) B (32 x 16 bf16)
//
// where the rows of B lie in pairs: row j of B's register holds B(2j,0) B(2j+1,0) B(2j,1) B(2j+1,1)
// ... Registers 0 to 3 are for sums, 4 and 5 for A, 6 and 7 for B.
#pragma once

#include "kernels/runtime/simd.h"
#include "kernels/runtime/tile_sizes.h"

namespace assay::cpu::ASSAY_ISA::tile {

using namespace ::assay::tile;

#if defined(ASSAY_EMULATED_TILES)

namespace {

typedef float Four __attribute__((vector_size(16)));
typedef uint32_t FourBits __attribute__((vector_size(16)));

alignas(64) thread_local unsigned char registers[8][kBytes];

ASSAY_INLINE FourBits four_bits(const unsigned char* p) {
  FourBits v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

/// Subnormal numbers become 0 of the same sign, as operands and as results.
ASSAY_INLINE FourBits flush(FourBits f) {
  return f & ((FourBits)((f & 0x7f800000u) != 0u) | 0x80000000u);
}
ASSAY_INLINE Four flush(Four f) {
  return (Four)flush((FourBits)f);
}

/// bf16 value i of a row, in four lanes.
ASSAY_INLINE Four broadcast_bf16(const unsigned char* row, int i) {
  uint16_t bits;
  __builtin_memcpy(&bits, row + 2 * i, sizeof bits);
  return (Four)flush(FourBits{} + (static_cast<uint32_t>(bits) << 16));
}

/// Columns [column, column + 4) of a row of C. The even and the odd values of the depth are summed
/// apart and their sums added to C, rounded to nearest even (Intel's manual 325383, TDPBF16PS). A
/// product of two bf16 has 16 significant bits, so a multiplication and an addition round as the
/// fused instruction does.
ASSAY_INLINE void multiply_four(const unsigned char* a, const unsigned char* b, int column,
                                unsigned char* c) {
  Four even{}, odd{};
  for (int j = 0; j < kDepth / 2; ++j) {
    const FourBits pairs = four_bits(b + j * kRowBytes + column * 4);
    even = flush(even + broadcast_bf16(a, 2 * j) * (Four)flush(pairs << 16));
    odd = flush(odd + broadcast_bf16(a, 2 * j + 1) * (Four)flush(pairs & 0xffff0000u));
  }
  const Four before = (Four)flush(four_bits(c + column * 4));
  const Four sum = flush(before + flush(even + odd));
  __builtin_memcpy(c + column * 4, &sum, sizeof sum);
}

}  // namespace

/// Gives all registers 16 rows of 64 bytes. Must come before the other instructions.
ASSAY_INLINE void configure() {}
/// Ends the use of the registers.
ASSAY_INLINE void release() {}
template <int kTile>
ASSAY_INLINE void zero() {
  __builtin_memset(registers[kTile], 0, kBytes);
}
/// Reads 16 rows of 64 bytes, `stride` bytes apart.
template <int kTile>
ASSAY_INLINE void load(const void* from, int64_t stride) {
  for (int row = 0; row < kRows; ++row)
    __builtin_memcpy(registers[kTile] + row * kRowBytes,
                     static_cast<const char*>(from) + row * stride, kRowBytes);
}
template <int kTile>
ASSAY_INLINE void store(void* to, int64_t stride) {
  for (int row = 0; row < kRows; ++row)
    __builtin_memcpy(static_cast<char*>(to) + row * stride, registers[kTile] + row * kRowBytes,
                     kRowBytes);
}
template <int kC, int kA, int kB>
ASSAY_INLINE void multiply() {
  for (int row = 0; row < kRows; ++row)
    for (int column = 0; column < kColumns; column += 4)
      multiply_four(registers[kA] + row * kRowBytes, registers[kB], column,
                    registers[kC] + row * kRowBytes);
}

#else

/// The operand of ldtilecfg.
struct alignas(64) Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[8] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint16_t reserved_row_bytes[8] = {};
  uint8_t rows[8] = {16, 16, 16, 16, 16, 16, 16, 16};
  uint8_t reserved_rows[8] = {};
};
static_assert(sizeof(Configuration) == 64);

// GCC 12's own intrinsics tell the compiler of no memory that a load reads, and stores of the
// operand may move behind it.
ASSAY_INLINE void configure() {
  const Configuration all;
  asm volatile("ldtilecfg %0" ::"m"(all) : "memory");
}
ASSAY_INLINE void release() {
  asm volatile("tilerelease" ::: "memory");
}
template <int kTile>
ASSAY_INLINE void zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
template <int kTile>
ASSAY_INLINE void load(const void* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
ASSAY_INLINE void store(void* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
}
template <int kC, int kA, int kB>
ASSAY_INLINE void multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
}

#endif

}  // namespace assay::cpu::ASSAY_ISA::tile
