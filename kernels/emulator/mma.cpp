// mma.sync and ldmatrix: the matrix instructions of a warp.
//
// The difficulty of these instructions is which lane holds which element. With g = lane / 4 and
// q = lane % 4 (PTX ISA, "Matrix Fragments for mma.m16n8k8" etc.):
//   A (16 x K)   rows g and g + 8, columns q (+4 for tf32; pairs 2q, 2q+1, +8 for bf16)
//   B (K x 8)    rows as A's columns, column g
//   C, D (16x8)  rows g and g + 8, columns 2q and 2q + 1
#include <fmt/core.h>

#include <bit>
#include <cstring>

#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"
#include "kernels/emulator/tensor_core.h"

namespace assay::emulator {
namespace {

// The tensor cores ignore the low 13 bits of a tf32 operand.
float tf32(uint32_t bits) {
  return std::bit_cast<float>(bits & 0xffffe000u);
}
float low_bf16(uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}
float high_bf16(uint32_t bits) {
  return std::bit_cast<float>(bits & 0xffff0000u);
}

void require_full_warp(const char* instruction, uint32_t mask) {
  if (mask != ~0u) fail(fmt::format("{}: lanes of the warp have exited", instruction));
}

template <int K>
struct Tile {
  float a[16][K], b[K][8];

  void set_tf32(const MmaOperand& x, int g, int q) {
    a[g][q] = tf32(x.a[0]);
    a[g + 8][q] = tf32(x.a[1]);
    b[q][g] = tf32(x.b[0]);
    if constexpr (K == 8) {
      a[g][q + 4] = tf32(x.a[2]);
      a[g + 8][q + 4] = tf32(x.a[3]);
      b[q + 4][g] = tf32(x.b[1]);
    }
  }
  void set_bf16(const MmaOperand& x, int g, int q) {
    for (int half = 0; half < 2; ++half) {
      const int k = 2 * q + 8 * half;
      a[g][k] = low_bf16(x.a[2 * half]);
      a[g][k + 1] = high_bf16(x.a[2 * half]);
      a[g + 8][k] = low_bf16(x.a[2 * half + 1]);
      a[g + 8][k + 1] = high_bf16(x.a[2 * half + 1]);
      b[k][g] = low_bf16(x.b[half]);
      b[k + 1][g] = high_bf16(x.b[half]);
    }
  }
};

template <int K>
void execute_mma(void* const* operands, uint32_t mask) {
  require_full_warp("mma.sync", mask);
  Tile<K> tile;
  for (int lane = 0; lane < 32; ++lane) {
    const auto& x = *static_cast<const MmaOperand*>(operands[lane]);
    if constexpr (K == 16)
      tile.set_bf16(x, lane / 4, lane % 4);
    else
      tile.set_tf32(x, lane / 4, lane % 4);
  }
  float d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const float* c = static_cast<const MmaOperand*>(operands[lane])->d;
    for (int e = 0; e < 4; ++e) d[lane / 4 + 8 * (e / 2)][2 * (lane % 4) + e % 2] = c[e];
  }
  constexpr int kBlock = K == 16 ? kAmpere.block_bf16 : kAmpere.block_tf32;
  for (int m = 0; m < 16; ++m) tensor_core_row(kBlock, kAmpere.extra_bits, tile.a[m], tile.b, d[m]);
  for (int lane = 0; lane < 32; ++lane) {
    float* out = static_cast<const MmaOperand*>(operands[lane])->d;
    for (int e = 0; e < 4; ++e) out[e] = d[lane / 4 + 8 * (e / 2)][2 * (lane % 4) + e % 2];
  }
}

// Matrix j comes from the row addresses of lanes 8j .. 8j+7; lane (g, q) receives elements 2q and
// 2q + 1 of row g, or of column g where the matrix is transposed.
template <int kMatrices, bool kTranspose>
void execute_ldmatrix(void* const* operands, uint32_t mask) {
  require_full_warp("ldmatrix", mask);
  const unsigned warp = multiprocessor->collective_warp;
  for (int j = 0; j < kMatrices; ++j) {
    uint16_t matrix[8][8];
    for (int row = 0; row < 8; ++row) {
      const void* p = static_cast<const LdmatrixOperand*>(operands[8 * j + row])->row;
      if (reinterpret_cast<uintptr_t>(p) % 16 != 0) fail("ldmatrix: misaligned row address");
      std::memcpy(matrix[row], shared_pointer(shared_address(p), 16), 16);
      if (multiprocessor->checking())
        multiprocessor->checker->collective_read(p, 16,
                                                 32 * warp + static_cast<unsigned>(8 * j + row));
    }
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, q = lane % 4;
      const uint32_t low = kTranspose ? matrix[2 * q][g] : matrix[g][2 * q];
      const uint32_t high = kTranspose ? matrix[2 * q + 1][g] : matrix[g][2 * q + 1];
      static_cast<const LdmatrixOperand*>(operands[lane])->r[j] = low | high << 16;
    }
  }
}

}  // namespace

const WarpOperation kMmaM16N8K4Tf32{"mma.m16n8k4.tf32", execute_mma<4>};
const WarpOperation kMmaM16N8K8Tf32{"mma.m16n8k8.tf32", execute_mma<8>};
const WarpOperation kMmaM16N8K16Bf16{"mma.m16n8k16.bf16", execute_mma<16>};
const WarpOperation kLdmatrix[3][2] = {
    {{"ldmatrix.x1", execute_ldmatrix<1, false>}, {"ldmatrix.x1.trans", execute_ldmatrix<1, true>}},
    {{"ldmatrix.x2", execute_ldmatrix<2, false>}, {"ldmatrix.x2.trans", execute_ldmatrix<2, true>}},
    {{"ldmatrix.x4", execute_ldmatrix<4, false>}, {"ldmatrix.x4.trans", execute_ldmatrix<4, true>}},
};

}  // namespace assay::emulator
