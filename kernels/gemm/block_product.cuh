// The product of a block of threads: 64 rows of A times 64 columns of B, summed over a range of k.
// The pipelined and the tensor-core rung of the matrix product are this with a store behind it, and
// the kernel density is this with a running log-sum-exp behind it.
//
// Both operands are lists of vectors along k, the rows of A and the columns of B, and lie in memory
// in one of two ways. A tile keeps the way of its operand, so that cp.async can copy 16 bytes at a
// time; the padding makes the reads of either way free of bank conflicts (README.md).
//
//   k fast   element (i, k) at p[i K + k]        tile [64][16 + 4]
//   i fast   element (i, k) at p[k count + i]    tile [16][64 + 8]
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

constexpr int kProductTile = 64;
constexpr int kProductDepth = 16;  // of a stage
constexpr int kProductStages = 3;
constexpr int kRowStride = kProductDepth + 4;   // k fast
constexpr int kDepthStride = kProductTile + 8;  // i fast
constexpr int kStageFloats = kProductTile * kRowStride;
static_assert(kProductDepth * kDepthStride <= kStageFloats);
constexpr size_t kProductShared = sizeof(float) * 2 * kProductStages * kStageFloats;

struct Vectors {
  const float* p;
  int count, K;
};
/// Whether 16 bytes can be copied at a time.
inline bool copies_by_16(const Vectors& v, bool k_fast) {
  return reinterpret_cast<uintptr_t>(v.p) % 16 == 0 && (k_fast ? v.K : v.count) % 4 == 0;
}

/// Starts the copy of elements (i0 ..., k0 ...) into `tile`; zeros beyond the ends.
template <bool kKFast, int kThreadsOfBlock, int kFloats>
__device__ __forceinline__ void copy_tile(float* tile, const Vectors& v, int i0, int k0,
                                          int k_end) {
  constexpr int kLine = (kKFast ? kProductDepth : kProductTile) / kFloats;  // copies of a line
  for (int c = static_cast<int>(threadIdx.x); c < kProductTile * kProductDepth / kFloats;
       c += kThreadsOfBlock) {
    const int along = c % kLine * kFloats, line = c / kLine;
    const int i = i0 + (kKFast ? line : along), k = k0 + (kKFast ? along : line);
    const bool valid = i < v.count && k < k_end;
    const int64_t at = kKFast ? int64_t{i} * v.K + k : int64_t{k} * v.count + i;
    ptx::cp_async<4 * kFloats>(tile + line * (kKFast ? kRowStride : kDepthStride) + along,
                               valid ? v.p + at : v.p, valid);
  }
}

template <bool kKFast>
__device__ __forceinline__ float tile_element(const float* tile, int i, int k) {
  return kKFast ? tile[i * kRowStride + k] : tile[k * kDepthStride + i];
}

/// Multiply-adds: 64 threads with 8 x 8 results each, rows and columns 8 apart, so that
/// neighbouring threads read neighbouring vectors.
struct FmaMath {
  static constexpr int kThreadsOfBlock = 64;
  static constexpr int kRows = 8;     // of a thread
  static constexpr int kSharers = 8;  // threads that share a row
  float sum[8][8];

  __device__ void clear() {
    for (auto& row : sum)
      for (float& s : row) s = 0;
  }
  template <bool kAFast, bool kBFast>
  __device__ void add(const float* a, const float* b) {
    const int tx = static_cast<int>(threadIdx.x) % 8, ty = static_cast<int>(threadIdx.x) / 8;
    for (int k = 0; k < kProductDepth; k += 4) {
      float fa[8][4], fb[8][4];
      fetch<kAFast>(a, ty, k, fa);
      fetch<kBFast>(b, tx, k, fb);
#pragma unroll
      for (int kk = 0; kk < 4; ++kk)
#pragma unroll
        for (int i = 0; i < 8; ++i)
#pragma unroll
          for (int j = 0; j < 8; ++j) sum[i][j] = fmaf(fa[i][kk], fb[j][kk], sum[i][j]);
    }
  }
  /// f(slot of the row, row, column, value) for the results of this thread.
  template <class F>
  __device__ void for_each(const F& f) const {
    const int tx = static_cast<int>(threadIdx.x) % 8, ty = static_cast<int>(threadIdx.x) / 8;
#pragma unroll
    for (int i = 0; i < 8; ++i)
#pragma unroll
      for (int j = 0; j < 8; ++j) f(i, ty + 8 * i, tx + 8 * j, sum[i][j]);
  }
  __device__ static int row_of(int slot) {
    return static_cast<int>(threadIdx.x) / 8 + 8 * slot;
  }
  __device__ static int sharer() {
    return static_cast<int>(threadIdx.x) % 8;
  }

 private:
  template <bool kKFast>
  __device__ static void fetch(const float* tile, int first, int k, float (&f)[8][4]) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if constexpr (kKFast) {
        const float4 v = ldv<float4>(tile + (first + 8 * i) * kRowStride + k);
        f[i][0] = v.x;
        f[i][1] = v.y;
        f[i][2] = v.z;
        f[i][3] = v.w;
      } else {
#pragma unroll
        for (int kk = 0; kk < 4; ++kk) f[i][kk] = tile[(k + kk) * kDepthStride + first + 8 * i];
      }
  }
};

/// Tensor cores: four warps, 2 x 2, with 32 x 32 results each, as 2 x 4 fragments of 16 x 8.
///   tf32    one product of operands rounded to 10 bits
///   tf32x3  v = high + low, both TF32: low high + high low + high high, as accurate as fp32
///   bf16    operands rounded to 7 bits, two of them in a register
template <Precision kPrecision>
struct MmaMath {
  static constexpr int kThreadsOfBlock = 128;
  static constexpr int kRows = 4;
  static constexpr int kSharers = 8;  // 4 lanes of 2 warps
  float sum[2][4][4];

  __device__ void clear() {
    for (auto& fragments : sum)
      for (auto& fragment : fragments)
        for (float& s : fragment) s = 0;
  }

  template <bool kAFast, bool kBFast>
  __device__ void add(const float* a, const float* b) {
    constexpr int kStep = kPrecision == Precision::bf16 ? 16 : 8;
    for (int k = 0; k < kProductDepth; k += kStep) {
      Fragments f;
      const int g = lane() / 4, q = lane() % 4;
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int r = 0; r < 4; ++r) {  // A(g, q), A(g+8, q), A(g, q+4), A(g+8, q+4)
          const int row = 32 * (warp() / 2) + 16 * i + g + r % 2 * 8;
          f.a[i][r] = operand<kAFast>(a, row, k, q, r / 2, f.a_low[i][r]);
        }
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int r = 0; r < 2; ++r) {  // B(q, g), B(q+4, g)
          const int column = 32 * (warp() % 2) + 8 * j + g;
          f.b[j][r] = operand<kBFast>(b, column, k, q, r, f.b_low[j][r]);
        }
      multiply(f);
    }
  }
  template <class F>
  __device__ void for_each(const F& f) const {
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          f(2 * i + e / 2, row_of(2 * i + e / 2),
            32 * (warp() % 2) + 8 * j + lane() % 4 * 2 + e % 2, sum[i][j][e]);
  }
  __device__ static int row_of(int slot) {
    return 32 * (warp() / 2) + slot / 2 * 16 + slot % 2 * 8 + lane() / 4;
  }
  __device__ static int sharer() {
    return warp() % 2 * 4 + lane() % 4;
  }

 private:
  struct Fragments {
    uint32_t a[2][4], b[4][2];
    uint32_t a_low[2][4], b_low[4][2];  // of tf32x3
  };
  __device__ static int lane() {
    return static_cast<int>(threadIdx.x) % 32;
  }
  __device__ static int warp() {
    return static_cast<int>(threadIdx.x) / 32;
  }

  /// One register of a fragment: of TF32 element k + q + 4 half, of bf16 the pair that begins at
  /// k + 2 q + 8 half.
  template <bool kKFast>
  __device__ static uint32_t operand(const float* tile, int i, int k, int q, int half,
                                     uint32_t& low) {
    if constexpr (kPrecision == Precision::bf16) {
      const int at = k + 2 * q + 8 * half;
      return ptx::cvt_bf16x2(tile_element<kKFast>(tile, i, at),
                             tile_element<kKFast>(tile, i, at + 1));
    } else {
      const float v = tile_element<kKFast>(tile, i, k + q + 4 * half);
      const uint32_t high = ptx::cvt_tf32(v);
      if constexpr (kPrecision == Precision::tf32x3) low = ptx::cvt_tf32(v - __uint_as_float(high));
      return high;
    }
  }

  __device__ void multiply(const Fragments& f) {
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if constexpr (kPrecision == Precision::bf16) {
          ptx::mma_m16n8k16_bf16(sum[i][j], f.a[i], f.b[j]);
        } else {
          if constexpr (kPrecision == Precision::tf32x3) {  // the small ones first
            ptx::mma_m16n8k8_tf32(sum[i][j], f.a_low[i], f.b[j]);
            ptx::mma_m16n8k8_tf32(sum[i][j], f.a[i], f.b_low[j]);
          }
          ptx::mma_m16n8k8_tf32(sum[i][j], f.a[i], f.b[j]);
        }
      }
  }
};

/// math.sum = the product of rows i0 ... of A and columns j0 ... of B over k in [k_begin, k_end).
/// A ring of three stages: while one is multiplied, the copies of the next two are under way.
/// `shared` holds kProductShared bytes. All threads of the block call it; it ends with a barrier.
template <bool kAFast, bool kBFast, class Math>
__device__ __forceinline__ void block_product(Math& math, const Vectors& a, const Vectors& b,
                                              int i0, int j0, int k_begin, int k_end, bool a_by_16,
                                              bool b_by_16, float* shared) {
  constexpr int kThreadsOfBlock = Math::kThreadsOfBlock;
  const auto load = [&](int tile) {
    const int k0 = k_begin + tile * kProductDepth;
    float* to = shared + tile % kProductStages * 2 * kStageFloats;
    if (k0 < k_end) {
      if (a_by_16)
        copy_tile<kAFast, kThreadsOfBlock, 4>(to, a, i0, k0, k_end);
      else
        copy_tile<kAFast, kThreadsOfBlock, 1>(to, a, i0, k0, k_end);
      if (b_by_16)
        copy_tile<kBFast, kThreadsOfBlock, 4>(to + kStageFloats, b, j0, k0, k_end);
      else
        copy_tile<kBFast, kThreadsOfBlock, 1>(to + kStageFloats, b, j0, k0, k_end);
    }
    ptx::cp_async_commit();  // an empty group at the end keeps the count
  };
  math.clear();
  for (int stage = 0; stage < kProductStages - 1; ++stage) load(stage);
  const int tiles = (k_end - k_begin + kProductDepth - 1) / kProductDepth;
  for (int tile = 0; tile < tiles; ++tile) {
    ptx::cp_async_wait<kProductStages - 2>();  // this tile is there for the thread that copied it,
    __syncthreads();                           // now for all, and the stage before it is free
    load(tile + kProductStages - 1);
    const float* stage = shared + tile % kProductStages * 2 * kStageFloats;
    math.template add<kAFast, kBFast>(stage, stage + kStageFloats);
  }
  ptx::cp_async_wait<0>();
  __syncthreads();
}

}  // namespace assay::cuda
