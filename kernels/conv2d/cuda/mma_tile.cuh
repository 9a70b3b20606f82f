// A block's tile of sums formed on the tensor cores: 4 warps, 2 x 2, each with kM/2 x kN/2 sums in
// fragments of mma.sync, 16 x 8 sums at a time.
//
// An mma sums over its depth, so it does not matter which element of the depth stands in which slot
// of the fragments, as long as it is the same for A and B. For 16 elements of the depth a lane
// (g = lane/4, q = lane%4) therefore reads four of its own choice, in every precision:
//   depth contiguous (fprop, dgrad)   4q, 4q+1, 4q+2, 4q+3: one 16-byte load
//   rows contiguous (wgrad)           q, q+4, q+8, q+12
// Banks. Depth contiguous: a row is 32 floats, all banks, and odd rows have their halves exchanged,
// so that the 8 lanes of a quarter-warp (two rows, four chunks) hit 32 different banks:
//   row 0: | 0 .. 15 | 16 .. 31 |     row 1: | 16 .. 31 | 0 .. 15 |
// Rows contiguous: the pitch is 8 more than a multiple of 32, and 8q + g are 32 different banks.
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

/// One TF32 product: operands rounded to 11 significant bits.
struct Tf32 {
  struct A {
    uint32_t r[2][4];
  };
  struct B {
    uint32_t r[2][2];
  };
  /// Four elements of the depth of rows g and g + 8, of column g.
  static __device__ A a(const float (&low)[4], const float (&high)[4]) {
    A f;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      f.r[k][0] = ptx::cvt_tf32(low[2 * k]);
      f.r[k][1] = ptx::cvt_tf32(high[2 * k]);
      f.r[k][2] = ptx::cvt_tf32(low[2 * k + 1]);
      f.r[k][3] = ptx::cvt_tf32(high[2 * k + 1]);
    }
    return f;
  }
  static __device__ B b(const float (&column)[4]) {
    B f;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      f.r[k][0] = ptx::cvt_tf32(column[2 * k]);
      f.r[k][1] = ptx::cvt_tf32(column[2 * k + 1]);
    }
    return f;
  }
  static __device__ void multiply(float (&sums)[4], const A& a, const B& b) {
    ptx::mma_m16n8k8_tf32(sums, a.r[0], b.r[0]);
    ptx::mma_m16n8k8_tf32(sums, a.r[1], b.r[1]);
  }
};

/// Three TF32 products. An operand is big + small, each of 11 bits; what is left, and the product
/// of the small parts, is 2^-22 of the whole. (Markidis et al., "NVIDIA Tensor Core
/// Programmability, Performance & Precision", section V; CUTLASS example 28 for convolutions.)
/// Tensor cores truncate their sums, so a long chain of them would drift toward zero: the products
/// of 16 elements go into fragments that begin at 0, and fp32 additions add those to the sums.
/// (Ootomo, Yokota, "Recovering single precision accuracy from Tensor Cores", 2022.)
struct Tf32x3 {
  struct A {
    Tf32::A big, small;
  };
  struct B {
    Tf32::B big, small;
  };
  static __device__ float rest(float f) { return f - __uint_as_float(ptx::cvt_tf32(f)); }
  static __device__ A a(const float (&low)[4], const float (&high)[4]) {
    const float rest_low[4] = {rest(low[0]), rest(low[1]), rest(low[2]), rest(low[3])};
    const float rest_high[4] = {rest(high[0]), rest(high[1]), rest(high[2]), rest(high[3])};
    return {Tf32::a(low, high), Tf32::a(rest_low, rest_high)};
  }
  static __device__ B b(const float (&column)[4]) {
    const float rest_column[4] = {rest(column[0]), rest(column[1]), rest(column[2]),
                                  rest(column[3])};
    return {Tf32::b(column), Tf32::b(rest_column)};
  }
  static __device__ void multiply(float (&sums)[4], const A& a, const B& b) {
    float products[4] = {};
    Tf32::multiply(products, a.small, b.big);  // the small ones first
    Tf32::multiply(products, a.big, b.small);
    Tf32::multiply(products, a.big, b.big);
#pragma unroll
    for (int e = 0; e < 4; ++e) sums[e] += products[e];
  }
};

/// Operands rounded to bfloat16, 8 significant bits.
struct Bf16 {
  struct A {
    uint32_t r[4];
  };
  struct B {
    uint32_t r[2];
  };
  static __device__ A a(const float (&low)[4], const float (&high)[4]) {
    return {{ptx::cvt_bf16x2(low[0], low[1]), ptx::cvt_bf16x2(high[0], high[1]),
             ptx::cvt_bf16x2(low[2], low[3]), ptx::cvt_bf16x2(high[2], high[3])}};
  }
  static __device__ B b(const float (&column)[4]) {
    return {{ptx::cvt_bf16x2(column[0], column[1]), ptx::cvt_bf16x2(column[2], column[3])}};
  }
  static __device__ void multiply(float (&sums)[4], const A& a, const B& b) {
    ptx::mma_m16n8k16_bf16(sums, a.r, b.r);
  }
};

template <class Math, int kM_, int kN_, bool kRowsContiguous>
struct MmaTile {
  static constexpr int kM = kM_, kN = kN_, kDepth = 32, kThreads = 128, kStages = 3;
  static constexpr int kBlocks =
      kM * kN == 128 * 64 ? 2 : 4;  // on a multiprocessor, which bounds the registers
  static constexpr int kI = kM / 2 / 16, kJ = kN / 2 / 8;  // fragments of a warp

  /// Offset of (row, d) in a tile of kRows rows, and its size.
  template <int kRows>
  static __device__ int at(int row, int d) {
    return kRowsContiguous ? d * (kRows + 8) + row : row * kDepth + (d ^ row % 2 * 16);
  }
  ASSAY_HD static constexpr int floats(int rows) {
    return kRowsContiguous ? kDepth * (rows + 8) : rows * kDepth;
  }

  /// The row that is copied by the i-th group of 8 threads.
  static __device__ int copy_row(int i) { return i; }

  float sums[kI][kJ][4] = {};

  __device__ void multiply(const float* a, const float* b) {
    const int m0 = warp() % 2 * (kM / 2) + g(), n0 = warp() / 2 * (kN / 2) + g();
#pragma unroll
    for (int d = 0; d < kDepth; d += 16) {
      typename Math::B fb[kJ];
#pragma unroll
      for (int j = 0; j < kJ; ++j) {
        float column[4];
        load<kN>(column, b, n0 + 8 * j, d);
        fb[j] = Math::b(column);
      }
#pragma unroll
      for (int i = 0; i < kI; ++i) {
        float low[4], high[4];
        load<kM>(low, a, m0 + 16 * i, d);
        load<kM>(high, a, m0 + 16 * i + 8, d);
        const typename Math::A fa = Math::a(low, high);
#pragma unroll
        for (int j = 0; j < kJ; ++j) Math::multiply(sums[i][j], fa, fb[j]);
      }
    }
  }

  /// Leaves the sums in a row-major tile with rows of kN + 8 floats.
  __device__ void store(float* tile) const {
    const int m0 = warp() % 2 * (kM / 2) + g(), n0 = warp() / 2 * (kN / 2) + 2 * q();
#pragma unroll
    for (int i = 0; i < kI; ++i)
#pragma unroll
      for (int j = 0; j < kJ; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          stv(tile + (m0 + 16 * i + 8 * half) * (kN + 8) + n0 + 8 * j,
              make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]));
  }

 private:
  static __device__ int warp() {
    return static_cast<int>(threadIdx.x) / 32;
  }
  static __device__ int g() {
    return static_cast<int>(threadIdx.x) % 32 / 4;
  }
  static __device__ int q() {
    return static_cast<int>(threadIdx.x) % 4;
  }

  /// This lane's four elements of the depth [d, d + 16) of a row.
  template <int kRows>
  static __device__ void load(float (&to)[4], const float* tile, int row, int d) {
    if constexpr (kRowsContiguous) {
#pragma unroll
      for (int v = 0; v < 4; ++v) to[v] = tile[at<kRows>(row, d + q() + 4 * v)];
    } else {
      const float4 v = ldv<float4>(tile + at<kRows>(row, d + 4 * q()));
      to[0] = v.x;
      to[1] = v.y;
      to[2] = v.z;
      to[3] = v.w;
    }
  }
};

}  // namespace assay::cuda
