// A block's tile of kM x kN sums formed on the tensor cores: kWarpsM x kWarpsN warps, each with its
// share of the sums in fragments of mma.sync, 16 x 8 sums at a time. The convolution, the matrix
// product and the kernel densities share it; fma_tile.cuh has the same interface in fp32.
//
// Lane (g = lane/4, q = lane%4) holds elements (g, q + 4v) of 8 rows and of the depth. How it gets
// them depends on the layout of the operand in shared memory:
//
// 1. Depth contiguous. `ldmatrix` moves 8 rows of 16 bytes into the fragments: lane (g, q) gets
// word
//    q of row g. Rows are 32 floats, all banks; chunk c of row r lies at place c ^ r % 8, so that 8
//    rows of one chunk are in 32 different banks (TMA's 128-byte swizzle):
//
//      row 0: | 0 1 2 3 4 5 6 7 |   row 1: | 1 0 3 2 5 4 7 6 |   row 2: | 2 3 0 1 6 7 4 5 | ...
//
// 2. Rows contiguous. The pitch is 8 more than a multiple of 32, so that the 32 lanes' 8q + g are
// in
//    32 different banks. Of A a lane reads two neighbouring rows at once, which are rows g and g+8
//    of the fragment: which row of the tile that is does not matter until the sums are stored.
//    (Four rows at once would be shared by two fragments, and the compiler moves each of them.)
//
// bf16 operands lie there two in a word, which is what a lane of m16n8k16 wants where a lane of
// TF32 wants a float:
//
// 1. Depth contiguous. A word is two neighbours along the depth, and all of the above holds.
//
// 2. Rows contiguous. A word is two neighbouring rows. `ldmatrix.trans` moves 8 depths of 8 rows,
//    and lane (g, q) gets depths 2q, 2q+1 of row g. The pitch is 4 words more than a multiple of
//    32.
#pragma once

#include <type_traits>

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

/// One TF32 product of 16 x 8 x 8: operands rounded to 11 significant bits.
struct Tf32 {
  static constexpr int kDepth = 8;     // summed by one instruction
  static constexpr int kElements = 1;  // of a word of shared memory
  static constexpr int kBlocksOfSmallTile = 4;
  static constexpr int kUnrolled = 4;
  static constexpr bool kRounded = false;  // whether operands are rounded in shared memory
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

/// The same of operands that were rounded before they came to shared memory, once for each element
/// and not for each fragment.
struct RoundedTf32 : Tf32 {
  static constexpr bool kRounded = true;
  static __device__ A a(const float (&f)[4]) {
    return {{__float_as_uint(f[0]), __float_as_uint(f[1]), __float_as_uint(f[2]),
             __float_as_uint(f[3])}};
  }
  static __device__ B b(const float (&f)[2]) {
    return {{__float_as_uint(f[0]), __float_as_uint(f[1])}};
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
  static constexpr int kElements = 1;
  static constexpr int kBlocksOfSmallTile = 3;
  static constexpr int kUnrolled = 2;
  static constexpr bool kRounded = false;
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

/// bfloat16 operands, two in a word; 16 x 8 x 16.
struct Bf16 {
  static constexpr int kDepth = 16;
  static constexpr int kElements = 2;
  static constexpr int kBlocksOfSmallTile = 4;
  static constexpr int kUnrolled = 4;
  static constexpr bool kRounded = false;
  struct A {
    uint32_t r[4];
  };
  struct B {
    uint32_t r[2];
  };
  /// Words (g, q), (g+8, q), (g, q+4), (g+8, q+4).
  static __device__ A a(const float (&f)[4]) {
    return {{__float_as_uint(f[0]), __float_as_uint(f[1]), __float_as_uint(f[2]),
             __float_as_uint(f[3])}};
  }
  /// Words (q, g), (q+4, g).
  static __device__ B b(const float (&f)[2]) {
    return {{__float_as_uint(f[0]), __float_as_uint(f[1])}};
  }
  static __device__ void multiply(float (&sums)[4], const A& a, const B& b) {
    ptx::mma_m16n8k16_bf16(sums, a.r, b.r);
  }
};

/// kADepth, kBDepth: the depth is contiguous in A (kM rows) and in B (kN rows). Words of two bf16
/// are passed as floats. Where no depth is contiguous, kLine_ may be less than 32.
template <class Math, int kM_, int kN_, bool kADepth_, bool kBDepth_, int kWarpsN = 2,
          int kWarpsM = 2, int kLine_ = 32>
struct MmaTile {
  static constexpr int kM = kM_, kN = kN_, kStages = 3;
  static constexpr int kElements = Math::kElements;
  static constexpr int kLine = kLine_;              // words of a row where the depth is contiguous
  static constexpr int kDepth = kLine * kElements;  // elements of a stage
  static_assert(kLine == 32 || !(kADepth_ || kBDepth_), "the layout takes rows of all banks");
  static constexpr bool kADepth = kADepth_, kBDepth = kBDepth_, kRounded = Math::kRounded;
  static constexpr int kThreads = 32 * kWarpsM * kWarpsN;
  /// Blocks that shall fit on a multiprocessor; bounds the registers.
  static constexpr int kBlocks = kM * kN >= 128 * 64 ? 256 / kThreads : Math::kBlocksOfSmallTile;
  static constexpr int kI = kM / kWarpsM / 16, kJ = kN / kWarpsN / 8;  // fragments of a warp
  static constexpr int kRows = 2 * kI;                                 // of a thread
  static constexpr int kSharers = 4 * kWarpsN;                         // threads that share a row

  /// Offset of word (row, d) in a tile of kSize rows, and its size. Where rows are contiguous,
  /// `row` counts words.
  template <bool kDepthContiguous, int kSize>
  static __device__ int at(int row, int d) {
    return kDepthContiguous ? row * kLine + (d ^ (row & 7) * 4)
                            : floats_between(false, kSize, d) + row;
  }
  ASSAY_HD static constexpr int floats(bool depth_contiguous, int rows) {
    return depth_contiguous ? rows * kLine : floats_between(false, rows, kDepth);
  }
  /// Floats between lines that are n apart: rows (n a multiple of 8), or depths where rows are
  /// contiguous.
  ASSAY_HD static constexpr int floats_between(bool depth_contiguous, int rows, int n) {
    return depth_contiguous ? floats(true, n) : n * ((rows + 8) / kElements);
  }
  static constexpr int kFloatsA = floats(kADepth, kM), kFloatsB = floats(kBDepth, kN);

  /// The row that is copied by the i-th group of 8 threads where the depth is contiguous.
  static __device__ int copy_row(int i) { return i; }
  /// What is stored for four elements of an operand.
  static __device__ float4 prepared(float4 v) {
    if constexpr (!kRounded) return v;
    const auto rounded = [](float f) { return __uint_as_float(ptx::cvt_tf32(f)); };
    return make_float4(rounded(v.x), rounded(v.y), rounded(v.z), rounded(v.w));
  }

  float sums[kI][kJ][4] = {};

  __device__ void clear() {
#pragma unroll
    for (auto& fragments : sums)
#pragma unroll
      for (auto& fragment : fragments)
#pragma unroll
        for (float& sum : fragment) sum = 0;
  }
  __device__ void add(const MmaTile& other) {
#pragma unroll
    for (int i = 0; i < kI; ++i)
#pragma unroll
      for (int j = 0; j < kJ; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[i][j][e] += other.sums[i][j][e];
  }

  /// sums += A B of a stage.
  __device__ void multiply(const float* a, const float* b) {
#pragma unroll Math::kUnrolled
    for (int d = 0; d < kDepth; d += Math::kDepth) {
      float fb[kJ][kV];
      if constexpr (kBDepth)
        load_by_ldmatrix(fb, b, d / kElements);
      else if constexpr (kElements == 2)
        load_transposed(fb, b, d);
      else
        load_columns(fb, b, d);
      typename Math::B columns[kJ];
#pragma unroll
      for (int j = 0; j < kJ; ++j) columns[j] = Math::b(fb[j]);
#pragma unroll
      for (int i = 0; i < kI; ++i) {
        float f[2 * kV];
        if constexpr (kADepth)
          load_by_ldmatrix(f, a, m0() + 16 * i, d / kElements);
        else if constexpr (kElements == 2)
          load_transposed(f, a, m0() + 16 * i, d);
        else
          load_pairs_of_rows(f, a, m0() + 16 * i, d);
        const typename Math::A rows = Math::a(f);
#pragma unroll
        for (int j = 0; j < kJ; ++j) Math::multiply(sums[i][j], rows, columns[j]);
      }
    }
  }

  /// Leaves the sums in a row-major tile with rows of kN + 8 floats.
  __device__ void store(float* tile) const {
#pragma unroll
    for (int slot = 0; slot < kRows; ++slot) {
      // Pairs of rows 4 apart lie in the same banks: half of the lanes begin with the second row.
      const bool other = kPairsOfRows && g() / 2 % 2 != 0;
      float* row = tile + row_of(slot ^ (other ? 1 : 0)) * (kN + 8);
      const float(&first)[kJ][4] = sums[slot / 2];
#pragma unroll
      for (int j = 0; j < kJ; ++j) {
        const auto sum = [&](int c) {
          return other ? first[j][2 - slot % 2 * 2 + c] : first[j][slot % 2 * 2 + c];
        };
        stv(row + column_of(j), make_float2(sum(0), sum(1)));
      }
    }
  }
  /// Calls f(slot of the row, row, column, value) for the sums of this thread.
  template <class F>
  __device__ void for_each(const F& f) const {
#pragma unroll
    for (int slot = 0; slot < kRows; ++slot)
#pragma unroll
      for (int j = 0; j < kJ; ++j)
#pragma unroll
        for (int c = 0; c < 2; ++c)
          f(slot, row_of(slot), column_of(j) + c, sums[slot / 2][j][slot % 2 * 2 + c]);
  }
  /// Row `slot` = 2 * fragment + half of this thread.
  static __device__ int row_of(int slot) {
    return m0() + slot / 2 * 16 + (kPairsOfRows ? 2 * g() + slot % 2 : slot % 2 * 8 + g());
  }
  static __device__ int sharer() {
    return warp() / kWarpsM * 4 + q();
  }

 private:
  static constexpr int kV = Math::kDepth / kElements / 4;  // words of a lane along the depth
  /// Whether a lane has rows 2g and 2g + 1 of 16 instead of g and g + 8.
  static constexpr bool kPairsOfRows = !kADepth && kElements == 1;

  static __device__ int lane() {
    return static_cast<int>(threadIdx.x) % 32;
  }
  static __device__ int warp() {
    return static_cast<int>(threadIdx.x) / 32;
  }
  static __device__ int g() {
    return lane() / 4;
  }
  static __device__ int q() {
    return lane() % 4;
  }
  /// First row and column of the warp.
  static __device__ int m0() {
    return warp() % kWarpsM * (kM / kWarpsM);
  }
  static __device__ int n0() {
    return warp() / kWarpsM * (kN / kWarpsN);
  }
  /// First of this lane's two columns of fragment j.
  static __device__ int column_of(int j) {
    return n0() + 8 * j + 2 * q();
  }

  /// Where rows are contiguous, the fragment of rows [row, row + 16): rows 2g and 2g + 1 at depth
  /// d + q + 4v.
  static __device__ void load_pairs_of_rows(float (&f)[2 * kV], const float* tile, int row, int d) {
#pragma unroll
    for (int v = 0; v < kV; ++v) {
      const float2 two = ldv<float2>(tile + at<false, kM>(row + 2 * g(), d + q() + 4 * v));
      f[2 * v] = two.x;
      f[2 * v + 1] = two.y;
    }
  }
  /// Where rows are contiguous, the fragments of the warp's columns.
  static __device__ void load_columns(float (&f)[kJ][kV], const float* tile, int d) {
#pragma unroll
    for (int j = 0; j < kJ; ++j)
#pragma unroll
      for (int v = 0; v < kV; ++v)
        f[j][v] = tile[at<false, kN>(n0() + 8 * j + g(), d + q() + 4 * v)];
  }

  /// Words of two rows: the fragment of rows [row, row + 16) and depths [d, d + 16).
  static __device__ void load_transposed(float (&f)[2 * kV], const float* tile, int row, int d) {
    uint32_t r[4];  // matrices: rows 0-7 and 8-15 of depths 0-7, then of depths 8-15
    ptx::ldmatrix_x4_trans(
        r, tile + at<false, kM>((row + lane() / 8 % 2 * 8) / 2, d + lane() / 16 * 8 + lane() % 8));
#pragma unroll
    for (int i = 0; i < 4; ++i) f[i] = __uint_as_float(r[i]);
  }
  /// The fragments of the warp's columns and depths [d, d + 16).
  static __device__ void load_transposed(float (&f)[kJ][kV], const float* tile, int d) {
    static_assert(kJ % 2 == 0);
#pragma unroll
    for (int j = 0; j < kJ; j += 2) {
      uint32_t r[4];  // matrices: depths 0-7 and 8-15 of 8 columns, then of the next 8
      ptx::ldmatrix_x4_trans(r, tile + at<false, kN>((n0() + 8 * j + lane() / 16 * 8) / 2,
                                                     d + lane() / 8 % 2 * 8 + lane() % 8));
#pragma unroll
      for (int i = 0; i < 4; ++i) f[j + i / 2][i % 2] = __uint_as_float(r[i]);
    }
  }

  /// The fragment of rows [row, row + 16): (g, d + q + 4v), (g + 8, d + q + 4v).
  static __device__ void load_by_ldmatrix(float (&f)[2 * kV], const float* tile, int row, int d) {
#pragma unroll
    for (int v = 0; v < kV; v += 2) {  // matrices: rows 0-7 and 8-15 of one chunk, then of the next
      uint32_t r[4];
      ptx::ldmatrix_x4(r, tile + at<true, kM>(row + lane() % 16, d + 4 * v + lane() / 16 * 4));
#pragma unroll
      for (int i = 0; i < 4; ++i) f[2 * v + i] = __uint_as_float(r[i]);
    }
  }
  /// The fragments of the warp's columns.
  static __device__ void load_by_ldmatrix(float (&f)[kJ][kV], const float* tile, int d) {
    constexpr int kGroups = 4 / kV;  // of 8 columns; matrices: all chunks of one, then of the next
    static_assert(kJ % kGroups == 0);
#pragma unroll
    for (int j = 0; j < kJ; j += kGroups) {
      uint32_t r[4];
      ptx::ldmatrix_x4(r, tile + at<true, kN>(n0() + 8 * j + lane() % 8 + lane() / (8 * kV) * 8,
                                              d + lane() / 8 % kV * 4));
#pragma unroll
      for (int i = 0; i < 4; ++i) f[j + i / kV][i % kV] = __uint_as_float(r[i]);
    }
  }
};

}  // namespace assay::cuda
