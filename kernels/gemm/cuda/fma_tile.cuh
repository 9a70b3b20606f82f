// A block's tile of kM x kN sums, formed by fp32 multiply-adds. The convolution, the matrix product
// and the kernel densities share it; mma_tile.cuh has the same interface on tensor cores.
//
// An operand lies in shared memory in one of two layouts, and a thread's rows are chosen so that a
// warp's reads fall into different banks:
//   depth contiguous   a row is kDepth + 4 floats. A thread's rows are kSize / kSide apart, and
//                      neighbouring threads take neighbouring rows: 20 * {0..7} mod 32 are 8
//                      different groups of 4 banks.
//   rows contiguous    a thread takes 4 neighbouring rows at once, a quarter of the tile apart.
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

/// kADepth, kBDepth: the depth is contiguous in A (kM rows) and in B (kN rows).
template <int kM_, int kN_, bool kADepth_, bool kBDepth_>
struct FmaTile {
  static constexpr int kM = kM_, kN = kN_, kDepth = 16, kStages = 3;
  static constexpr int kElements = 1;   // of a word of shared memory
  static constexpr int kLine = kDepth;  // words of a row where the depth is contiguous
  static constexpr bool kADepth = kADepth_, kBDepth = kBDepth_;
  static constexpr int kSide = kM * kN < 64 * 64 ? 4 : 8;  // sums of a thread: kSide x kSide
  static constexpr int kY = kM / kSide, kX = kN / kSide;   // threads along both sides
  static constexpr int kThreads = kY * kX;
  /// Blocks that shall fit on a multiprocessor; bounds the registers.
  static constexpr int kBlocks = kSide == 8 ? 384 / kThreads : 4;
  static constexpr int kRows = kSide;      // of a thread
  static constexpr int kSharers = kX;      // threads that share a row
  static constexpr bool kRounded = false;  // whether operands must be rounded in shared memory

  /// Offset of (row, d) in a tile of kSize rows, and its size.
  template <bool kDepthContiguous, int kSize>
  static __device__ int at(int row, int d) {
    return kDepthContiguous ? row * (kDepth + 4) + d : d * (kSize + 8) + row;
  }
  ASSAY_HD static constexpr int floats(bool depth_contiguous, int rows) {
    return depth_contiguous ? rows * (kDepth + 4) : kDepth * (rows + 8);
  }
  /// Floats between lines that are n apart: rows (n a multiple of 8), or depths where rows are
  /// contiguous.
  ASSAY_HD static constexpr int floats_between(bool depth_contiguous, int rows, int n) {
    return depth_contiguous ? floats(true, n) : n * (rows + 8);
  }
  static constexpr int kFloatsA = floats(kADepth, kM), kFloatsB = floats(kBDepth, kN);

  /// The row that is copied by the i-th group of 4 threads where the depth is contiguous: groups 2j
  /// and 2j + 1 take rows 4 apart, whose 4 chunks lie in different halves of the banks (4 * 20 mod
  /// 32 = 16).
  static __device__ int copy_row(int i) { return (i & ~7) | (i & 1) << 2 | (i >> 1 & 3); }
  /// What is stored for four elements of an operand.
  static __device__ float4 prepared(float4 v) { return v; }

  float sums[kSide][kSide] = {};

  __device__ void clear() {
#pragma unroll
    for (auto& row : sums)
#pragma unroll
      for (float& sum : row) sum = 0;
  }
  __device__ void add(const FmaTile& other) {
#pragma unroll
    for (int i = 0; i < kSide; ++i)
#pragma unroll
      for (int j = 0; j < kSide; ++j) sums[i][j] += other.sums[i][j];
  }

  /// sums += A B of a stage.
  __device__ void multiply(const float* a, const float* b) {
    a += kADepth ? at<true, kM>(y(), 0) : y() * 4;
    b += kBDepth ? at<true, kN>(x(), 0) : x() * 4;
    if constexpr (kADepth || kBDepth) {
#pragma unroll 1  // unrolling would keep the loads of all four rounds in registers
      for (int d = 0; d < kDepth; d += 4) multiply_four(a, b, d);
    } else {
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
        float ra[kSide], rb[kSide];
        load_rows<kM>(ra, a, d);
        load_rows<kN>(rb, b, d);
#pragma unroll
        for (int i = 0; i < kSide; ++i)
#pragma unroll
          for (int j = 0; j < kSide; ++j) sums[i][j] = fmaf(ra[i], rb[j], sums[i][j]);
      }
    }
  }

  /// Leaves the sums in a row-major tile with rows of kN + 8 floats.
  __device__ void store(float* tile) const {
#pragma unroll
    for (int i = 0; i < kSide; ++i) {
      float* row = tile + row_of(i) * (kN + 8);
      if constexpr (kBDepth) {
#pragma unroll
        for (int j = 0; j < kSide; ++j) row[side<kBDepth, kN>(x(), j)] = sums[i][j];
      } else {
#pragma unroll
        for (int j = 0; j < kSide; j += 4)
          stv(row + side<kBDepth, kN>(x(), j),
              make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]));
      }
    }
  }
  /// Calls f(slot of the row, row, column, value) for the sums of this thread.
  template <class F>
  __device__ void for_each(const F& f) const {
#pragma unroll
    for (int i = 0; i < kSide; ++i)
#pragma unroll
      for (int j = 0; j < kSide; ++j) f(i, row_of(i), side<kBDepth, kN>(x(), j), sums[i][j]);
  }
  static __device__ int row_of(int slot) {
    return side<kADepth, kM>(y(), slot);
  }
  static __device__ int sharer() {
    return x();
  }

 private:
  /// Index, along a side of kSize elements, of sum i of the thread at `place`.
  template <bool kDepthContiguous, int kSize>
  static __device__ int side(int place, int i) {
    return kDepthContiguous ? i * (kSize / kSide) + place
                            : i / 4 * (kSize / (kSide / 4)) + place * 4 + i % 4;
  }
  static __device__ int y() {
    return static_cast<int>(threadIdx.x) / kX;
  }
  static __device__ int x() {
    return static_cast<int>(threadIdx.x) % kX;
  }

  static __device__ void copy4(float* to, const float* from) {
    const float4 v = ldv<float4>(from);
    to[0] = v.x;
    to[1] = v.y;
    to[2] = v.z;
    to[3] = v.w;
  }
  /// This thread's rows at depth d, where rows are contiguous. `tile` begins at its first row.
  template <int kSize>
  static __device__ void load_rows(float* rows, const float* tile, int d) {
#pragma unroll
    for (int i = 0; i < kSide; i += 4)
      copy4(rows + i, tile + d * (kSize + 8) + side<false, kSize>(0, i));
  }
  /// Four steps of the depth, where it is contiguous in A or in B.
  __device__ void multiply_four(const float* a, const float* b, int d) {
    float rb[kBDepth ? kSide : 4][kBDepth ? 4 : kSide];  // as they lie in memory
    if constexpr (kBDepth) {
#pragma unroll
      for (int j = 0; j < kSide; ++j) copy4(rb[j], b + at<true, kN>(side<true, kN>(0, j), d));
    } else {
#pragma unroll
      for (int v = 0; v < 4; ++v) load_rows<kN>(rb[v], b, d + v);
    }
    const auto element = [&](int j, int v) { return kBDepth ? rb[j][v] : rb[v][j]; };
    if constexpr (kADepth) {
#pragma unroll
      for (int i = 0; i < kSide; ++i) {
        float ra[4];
        copy4(ra, a + at<true, kM>(side<true, kM>(0, i), d));
#pragma unroll
        for (int v = 0; v < 4; ++v)
#pragma unroll
          for (int j = 0; j < kSide; ++j) sums[i][j] = fmaf(ra[v], element(j, v), sums[i][j]);
      }
    } else {
#pragma unroll
      for (int v = 0; v < 4; ++v) {
        float ra[kSide];
        load_rows<kM>(ra, a, d + v);
#pragma unroll
        for (int i = 0; i < kSide; ++i)
#pragma unroll
          for (int j = 0; j < kSide; ++j) sums[i][j] = fmaf(ra[i], element(j, v), sums[i][j]);
      }
    }
  }
};

/// A tile for one buffer in shared memory instead of a ring: a step copies, waits, multiplies and
/// waits again (the version `hoisted`).
template <class Tile>
struct OneStage : Tile {
  static constexpr int kStages = 1;
};

}  // namespace assay::cuda
