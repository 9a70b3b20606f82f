// A block's tile of sums formed on the tensor cores: 4 warps, 2 x 2, each with kM/2 x kN/2 sums in
// fragments of mma.sync, 16 x 8 sums at a time.
//
// How a lane (g = lane/4, q = lane%4) reads its operands depends on the layout of the tile:
//
// 1. Depth contiguous (fprop, dgrad), TF32. `ldmatrix` moves 8 rows of 16 bytes into the fragments.
//    Rows are 32 floats, all banks; chunk c of row r lies at place c ^ r % 8, so that 8 rows of one
//    chunk are in 32 different banks (TMA's 128-byte swizzle):
//
//      row 0: | 0 1 2 3 4 5 6 7 |   row 1: | 1 0 3 2 5 4 7 6 |   row 2: | 2 3 0 1 6 7 4 5 | ...
//
// 2. Depth contiguous, bf16 from fp32. ldmatrix cannot convert, so a lane reads 4q .. 4q+3 of 16
//    elements of the depth at once. An mma sums over its depth, so the slot of an element does not
//    matter if it is the same for A and B. Odd rows have their halves exchanged:
//
//      row 0: | 0 .. 15 | 16 .. 31 |     row 1: | 16 .. 31 | 0 .. 15 |
//
// 3. Rows contiguous (wgrad). A lane reads element by element. The pitch is 8 more than a multiple
//    of 32, so the 32 lanes' 8q + g are in 32 different banks.
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

/// One TF32 product of 16 x 8 x 8: operands rounded to 11 significant bits.
struct Tf32 {
  static constexpr int kDepth = 8;  // summed by one instruction
  static constexpr int kBlocksOfSmallTile = 4;
  static constexpr bool kLdmatrix = true;
  struct A {
    uint32_t r[4];
  };
  struct B {
    uint32_t r[2];
  };
  /// Elements (g, q), (g+8, q), (g, q+4), (g+8, q+4).
  static __device__ A a(const float (&f)[4]) {
    return {{ptx::cvt_tf32(f[0]), ptx::cvt_tf32(f[1]), ptx::cvt_tf32(f[2]), ptx::cvt_tf32(f[3])}};
  }
  /// Elements (q, g), (q+4, g).
  static __device__ B b(const float (&f)[2]) {
    return {{ptx::cvt_tf32(f[0]), ptx::cvt_tf32(f[1])}};
  }
  static __device__ void multiply(float (&sums)[4], const A& a, const B& b) {
    ptx::mma_m16n8k8_tf32(sums, a.r, b.r);
  }
};

/// Three TF32 products. An operand is big + small, each of 11 bits; its remainder and the product
/// of the small parts, which are left out, are 2^-22 of the whole (Markidis et al., "NVIDIA Tensor
/// Core Programmability, Performance & Precision", section V; CUTLASS example 28).
///
/// Tensor cores truncate their sums, so a long chain would drift toward zero. The products of 8
/// elements therefore go into fragments that begin at 0, and fp32 additions add those to the sums
/// (Ootomo, Yokota, "Recovering single precision accuracy from Tensor Cores", 2022).
struct Tf32x3 {
  static constexpr int kDepth = 8;
  static constexpr int kBlocksOfSmallTile = 2;
  static constexpr bool kLdmatrix = true;
  struct A {
    Tf32::A big, small;
  };
  struct B {
    Tf32::B big, small;
  };
  static __device__ A a(const float (&f)[4]) {
    const Tf32::A big = Tf32::a(f);
    return {big, Tf32::a({f[0] - value(big.r[0]), f[1] - value(big.r[1]), f[2] - value(big.r[2]),
                          f[3] - value(big.r[3])})};
  }
  static __device__ B b(const float (&f)[2]) {
    const Tf32::B big = Tf32::b(f);
    return {big, Tf32::b({f[0] - value(big.r[0]), f[1] - value(big.r[1])})};
  }
  static __device__ void multiply(float (&sums)[4], const A& a, const B& b) {
    float products[4] = {};
    Tf32::multiply(products, a.small, b.big);  // small products first, for accuracy
    Tf32::multiply(products, a.big, b.small);
    Tf32::multiply(products, a.big, b.big);
#pragma unroll
    for (int e = 0; e < 4; ++e) sums[e] += products[e];
  }

 private:
  static __device__ float value(uint32_t tf32) {
    return __uint_as_float(tf32);
  }
};

/// Operands rounded to bfloat16, 8 significant bits; 16 x 8 x 16.
struct Bf16 {
  static constexpr int kDepth = 16;
  static constexpr int kBlocksOfSmallTile = 4;
  static constexpr bool kLdmatrix = false;
  struct A {
    uint32_t r[4];
  };
  struct B {
    uint32_t r[2];
  };
  /// f alternates rows g and g + 8, four elements of the depth each.
  static __device__ A a(const float (&f)[8]) {
    return {{ptx::cvt_bf16x2(f[0], f[2]), ptx::cvt_bf16x2(f[1], f[3]), ptx::cvt_bf16x2(f[4], f[6]),
             ptx::cvt_bf16x2(f[5], f[7])}};
  }
  static __device__ B b(const float (&f)[4]) {
    return {{ptx::cvt_bf16x2(f[0], f[1]), ptx::cvt_bf16x2(f[2], f[3])}};
  }
  static __device__ void multiply(float (&sums)[4], const A& a, const B& b) {
    ptx::mma_m16n8k16_bf16(sums, a.r, b.r);
  }
};

template <class Math, int kM_, int kN_, bool kRowsContiguous>
struct MmaTile {
  static constexpr int kM = kM_, kN = kN_, kDepth = 32, kThreads = 128, kStages = 3;
  /// Blocks that shall fit on a multiprocessor; bounds the registers.
  static constexpr int kBlocks = kM * kN == 128 * 64 ? 2 : Math::kBlocksOfSmallTile;
  static constexpr int kI = kM / 2 / 16, kJ = kN / 2 / 8;  // fragments of a warp
  static constexpr bool kLdmatrix = Math::kLdmatrix && !kRowsContiguous;
  static_assert(!kLdmatrix || kJ % 2 == 0, "ldmatrix.x4 loads two fragments of B");

  /// Offset of (row, d) in a tile of kRows rows, and its size.
  template <int kRows>
  static __device__ int at(int row, int d) {
    if constexpr (kRowsContiguous) return d * (kRows + 8) + row;
    return row * kDepth + (d ^ (kLdmatrix ? row % 8 * 4 : row % 2 * 16));
  }
  ASSAY_HD static constexpr int floats(int rows) {
    return kRowsContiguous ? kDepth * (rows + 8) : rows * kDepth;
  }

  /// The row that is copied by the i-th group of 8 threads.
  static __device__ int copy_row(int i) { return i; }

  float sums[kI][kJ][4] = {};

  __device__ void multiply(const float* a, const float* b) {
#pragma unroll
    for (int d = 0; d < kDepth; d += Math::kDepth) {
      typename Math::B fb[kJ];
      load_columns(fb, b, d);
#pragma unroll
      for (int i = 0; i < kI; ++i) {
        const typename Math::A fa = load_rows(a, m0() + 16 * i, d);
#pragma unroll
        for (int j = 0; j < kJ; ++j) Math::multiply(sums[i][j], fa, fb[j]);
      }
    }
  }

  /// Leaves the sums in a row-major tile with rows of kN + 8 floats.
  __device__ void store(float* tile) const {
    const int row = m0() + g(), column = n0() + 2 * q();
#pragma unroll
    for (int i = 0; i < kI; ++i)
#pragma unroll
      for (int j = 0; j < kJ; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          stv(tile + (row + 16 * i + 8 * half) * (kN + 8) + column + 8 * j,
              make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]));
  }

 private:
  static __device__ int lane() {
    return static_cast<int>(threadIdx.x) % 32;
  }
  static __device__ int g() {
    return lane() / 4;
  }
  static __device__ int q() {
    return lane() % 4;
  }
  /// First row and column of the warp.
  static __device__ int m0() {
    return static_cast<int>(threadIdx.x) / 32 % 2 * (kM / 2);
  }
  static __device__ int n0() {
    return static_cast<int>(threadIdx.x) / 64 * (kN / 2);
  }

  /// The fragment of rows [row, row + 16).
  static __device__ typename Math::A load_rows(const float* tile, int row, int d) {
    constexpr int kQuads = Math::kDepth / 8;  // of elements of a row
    float f[4 * kQuads];
    if constexpr (kLdmatrix) {  // matrices: rows 0-7 and 8-15 of one chunk, then of the next
      load_matrices(f, tile + at<kM>(row + lane() % 16, d + lane() / 16 * 4));
    } else {
      float low[2 * kQuads], high[2 * kQuads];
      load_depth<kM>(low, tile, row + g(), d);
      load_depth<kM>(high, tile, row + g() + 8, d);
#pragma unroll
      for (int k = 0; k < 2 * kQuads; ++k) {
        f[2 * k] = low[k];
        f[2 * k + 1] = high[k];
      }
    }
    return Math::a(f);
  }

  /// The fragments of the warp's columns.
  static __device__ void load_columns(typename Math::B (&fragments)[kJ], const float* tile, int d) {
    if constexpr (kLdmatrix) {
#pragma unroll
      for (int j = 0; j < kJ; j += 2) {  // matrices: both chunks of columns 0-7, then of 8-15
        float f[4];
        load_matrices(
            f, tile + at<kN>(n0() + 8 * j + lane() % 8 + lane() / 16 * 8, d + lane() / 8 % 2 * 4));
        fragments[j] = Math::b({f[0], f[1]});
        fragments[j + 1] = Math::b({f[2], f[3]});
      }
    } else {
#pragma unroll
      for (int j = 0; j < kJ; ++j) {
        float f[Math::kDepth / 4];
        load_depth<kN>(f, tile, n0() + 8 * j + g(), d);
        fragments[j] = Math::b(f);
      }
    }
  }

  static __device__ void load_matrices(float (&f)[4], const float* row) {
    uint32_t r[4];
    ptx::ldmatrix_x4(r, row);
#pragma unroll
    for (int v = 0; v < 4; ++v) f[v] = __uint_as_float(r[v]);
  }

  /// This lane's elements of the depth [d, d + Math::kDepth) of a row.
  template <int kRows, int kCount>
  static __device__ void load_depth(float (&f)[kCount], const float* tile, int row, int d) {
    if constexpr (kRowsContiguous) {
#pragma unroll
      for (int v = 0; v < kCount; ++v) f[v] = tile[at<kRows>(row, d + q() + 4 * v)];
    } else {
      const float4 v = ldv<float4>(tile + at<kRows>(row, d + 4 * q()));
      f[0] = v.x;
      f[1] = v.y;
      f[2] = v.z;
      f[3] = v.w;
    }
  }
};

}  // namespace assay::cuda
