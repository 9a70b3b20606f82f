// A block's tile of kM x kN sums, formed by fp32 multiply-adds of 128 threads.
//
// A thread's rows and columns are chosen so that a warp's reads of shared memory fall into
// different banks. Operands come in one of two layouts:
//   depth contiguous (fprop, dgrad): a row of the tile is kPitch = 16 + 4 floats. Neighbouring
//     threads take neighbouring rows, and 20 * {0..7} mod 32 are 8 different groups of 4 banks.
//   rows contiguous (wgrad): a thread takes 4 neighbouring rows at once.
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

template <int kM_, int kN_, bool kRowsContiguous>
struct FmaTile {
  static constexpr int kM = kM_, kN = kN_, kDepth = 16, kThreads = 128, kStages = 3;
  static constexpr int kSide = kM * kN == 128 * 64 ? 8 : 4;  // sums of a thread: kSide x kSide
  static constexpr int kY = kM / kSide, kX = kN / kSide;     // threads along both sides
  static_assert(kY * kX == kThreads);
  /// Blocks that shall fit on a multiprocessor; bounds the registers.
  static constexpr int kBlocks = kSide == 8 ? 3 : 4;

  /// Offset of (row, d) in a tile of kRows rows, and its size.
  template <int kRows>
  static __device__ int at(int row, int d) {
    return kRowsContiguous ? d * (kRows + 8) + row : row * (kDepth + 4) + d;
  }
  ASSAY_HD static constexpr int floats(int rows) {
    return kRowsContiguous ? kDepth * (rows + 8) : rows * (kDepth + 4);
  }

  /// The row that is copied by the i-th group of 4 threads: groups 2j and 2j + 1 take rows 4 apart,
  /// whose 4 chunks lie in different halves of the banks (4 * 20 mod 32 = 16).
  static __device__ int copy_row(int i) { return (i & ~7) | (i & 1) << 2 | (i >> 1 & 3); }

  float sums[kSide][kSide] = {};

  /// Index, along a side of kSize elements, of sum i of the thread at `place`.
  template <int kSize>
  static __device__ int side(int place, int i) {
    return kRowsContiguous ? i / 4 * (kSize / (kSide / 4)) + place * 4 + i % 4
                           : i * (kSize / kSide) + place;
  }
  static __device__ int y() { return static_cast<int>(threadIdx.x) / kX; }
  static __device__ int x() { return static_cast<int>(threadIdx.x) % kX; }

  __device__ void multiply(const float* a, const float* b) {
    if constexpr (kRowsContiguous) {
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
        float ra[kSide], rb[kSide];
#pragma unroll
        for (int i = 0; i < kSide; i += 4) {
          copy4(ra + i, a + at<kM>(side<kM>(y(), i), d));
          copy4(rb + i, b + at<kN>(side<kN>(x(), i), d));
        }
        outer_product(ra, rb);
      }
    } else {
#pragma unroll 1  // unrolling would keep the loads of all four rounds in registers
      for (int d = 0; d < kDepth; d += 4) {
        float rb[kSide][4];
#pragma unroll
        for (int j = 0; j < kSide; ++j) copy4(rb[j], b + at<kN>(side<kN>(x(), j), d));
#pragma unroll
        for (int i = 0; i < kSide; ++i) {
          float ra[4];
          copy4(ra, a + at<kM>(side<kM>(y(), i), d));
#pragma unroll
          for (int v = 0; v < 4; ++v)
#pragma unroll
            for (int j = 0; j < kSide; ++j) sums[i][j] = fmaf(ra[v], rb[j][v], sums[i][j]);
        }
      }
    }
  }

  /// Leaves the sums in a row-major tile with rows of kN + 8 floats.
  __device__ void store(float* tile) const {
#pragma unroll
    for (int i = 0; i < kSide; ++i) {
      float* row = tile + side<kM>(y(), i) * (kN + 8);
      if constexpr (kRowsContiguous) {
#pragma unroll
        for (int j = 0; j < kSide; j += 4)
          stv(row + side<kN>(x(), j),
              make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]));
      } else {
#pragma unroll
        for (int j = 0; j < kSide; ++j) row[side<kN>(x(), j)] = sums[i][j];
      }
    }
  }

 private:
  static __device__ void copy4(float* to, const float* from) {
    const float4 v = ldv<float4>(from);
    to[0] = v.x;
    to[1] = v.y;
    to[2] = v.z;
    to[3] = v.w;
  }
  __device__ void outer_product(const float (&ra)[kSide], const float (&rb)[kSide]) {
#pragma unroll
    for (int i = 0; i < kSide; ++i)
#pragma unroll
      for (int j = 0; j < kSide; ++j) sums[i][j] = fmaf(ra[i], rb[j], sums[i][j]);
  }
};

}  // namespace assay::cuda
