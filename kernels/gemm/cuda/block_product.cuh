// The product of a block of threads: kM rows of A times kN columns of B, summed over a range of k.
// The matrix product stores it; the kernel densities update a running log-sum-exp with it.
//
// Both operands are lists of vectors along k, the rows of A and the columns of B, and lie in memory
// in one of two layouts. A tile keeps the layout of its operand, so that cp.async can copy 16 bytes
// at a time; padding makes the reads of both layouts free of bank conflicts (README.md).
//
//   k fast   element (i, k) at p[i K + k]        tile [vectors][16 + 4]
//   i fast   element (i, k) at p[k count + i]    tile [16][vectors + 8]
//
// The products are those of a Math, FmaMath or MmaMath, whose template arguments are the tile.
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

constexpr int kProductDepth = 16;  // steps of k in a stage
constexpr int kProductStages = 3;

/// Offsets of the elements of a tile of kVectors vectors.
template <bool kKFast, int kVectors>
struct ProductTile {
  static constexpr int kStride = kKFast ? kProductDepth + 4 : kVectors + 8;
  static __device__ int at(int i, int k) { return kKFast ? i * kStride + k : k * kStride + i; }
};
/// Floats of a tile in either layout.
ASSAY_HD constexpr int tile_floats(int vectors) {
  const int k_fast = vectors * (kProductDepth + 4), i_fast = kProductDepth * (vectors + 8);
  return k_fast > i_fast ? k_fast : i_fast;
}
/// Bytes of shared memory.
template <class Math>
ASSAY_HD constexpr size_t product_bytes() {
  return sizeof(float) * kProductStages * (tile_floats(Math::kM) + tile_floats(Math::kN));
}

struct Vectors {
  const float* p;
  int count, K;
};
/// Whether 16 bytes can be copied at a time.
inline bool copies_by_16(const Vectors& v, bool k_fast) {
  return reinterpret_cast<uintptr_t>(v.p) % 16 == 0 && (k_fast ? v.K : v.count) % 4 == 0;
}

/// Starts the copy of elements (i0 ..., k0 ...) into `tile`, with zeros beyond the ends.
/// Neighbouring threads copy neighbouring memory. Threads that write k-fast vectors at the same
/// time write two that are 4 apart, in different halves of the banks (4 * 20 mod 32 = 16).
template <bool kKFast, int kVectors, int kThreadsOfBlock, int kFloats>
__device__ __forceinline__ void copy_tile(float* tile, const Vectors& v, int i0, int k0,
                                          int k_end) {
  constexpr int kLine = (kKFast ? kProductDepth : kVectors) / kFloats;  // copies of a line
  for (int c = static_cast<int>(threadIdx.x); c < kVectors * kProductDepth / kFloats;
       c += kThreadsOfBlock) {
    const int along = c % kLine * kFloats, line = c / kLine;
    const int vector = (line & ~7) | (line & 1) << 2 | (line >> 1 & 3);
    const int i = kKFast ? vector : along, k = kKFast ? along : line;
    const bool valid = i0 + i < v.count && k0 + k < k_end;
    const int64_t at = kKFast ? int64_t{i0 + i} * v.K + k0 + k : int64_t{k0 + k} * v.count + i0 + i;
    ptx::cp_async<4 * kFloats>(tile + ProductTile<kKFast, kVectors>::at(i, k),
                               valid ? v.p + at : v.p, valid);
  }
}

/// Multiply-adds: each thread has 8 x 8 results. Its rows are kY apart and its columns kX apart, so
/// that neighbouring threads read neighbouring vectors.
template <int kM_, int kN_>
struct FmaMath {
  static constexpr int kM = kM_, kN = kN_;
  static constexpr int kSide = 8;
  static constexpr int kY = kM / kSide, kX = kN / kSide;  // threads along both sides
  static constexpr int kThreadsOfBlock = kY * kX;
  /// On a multiprocessor: at most 168 registers, 255 for the tile of 128 x 128.
  static constexpr int kBlocks = 384 / kThreadsOfBlock;
  static constexpr int kRows = kSide;  // of a thread
  static constexpr int kSharers = kX;  // threads that share a row
  float sum[kSide][kSide];

  __device__ void clear() {
    for (auto& row : sum)
      for (float& s : row) s = 0;
  }
  __device__ void add(const FmaMath& other) {
    for (int i = 0; i < kSide; ++i)
      for (int j = 0; j < kSide; ++j) sum[i][j] += other.sum[i][j];
  }
  template <bool kAFast, bool kBFast>
  __device__ void add(const float* a, const float* b) {
#pragma unroll 1  // unrolling would keep the loads of all four rounds in registers
    for (int k = 0; k < kProductDepth; k += 4) {
      float fb[kSide][4];
#pragma unroll
      for (int j = 0; j < kSide; ++j) fetch<kBFast, kN>(b, x() + kX * j, k, fb[j]);
#pragma unroll
      for (int i = 0; i < kSide; ++i) {
        float fa[4];
        fetch<kAFast, kM>(a, row_of(i), k, fa);
#pragma unroll
        for (int kk = 0; kk < 4; ++kk)
#pragma unroll
          for (int j = 0; j < kSide; ++j) sum[i][j] = fmaf(fa[kk], fb[j][kk], sum[i][j]);
      }
    }
  }
  /// Calls f(slot of the row, row, column, value) for the results of this thread.
  template <class F>
  __device__ void for_each(const F& f) const {
#pragma unroll
    for (int i = 0; i < kSide; ++i)
#pragma unroll
      for (int j = 0; j < kSide; ++j) f(i, row_of(i), x() + kX * j, sum[i][j]);
  }
  __device__ static int row_of(int slot) {
    return static_cast<int>(threadIdx.x) / kX + kY * slot;
  }
  __device__ static int sharer() {
    return x();
  }

 private:
  __device__ static int x() {
    return static_cast<int>(threadIdx.x) % kX;
  }
  /// Elements k .. k+3 of vector i.
  template <bool kKFast, int kVectors>
  __device__ static void fetch(const float* tile, int i, int k, float (&f)[4]) {
    using Tile = ProductTile<kKFast, kVectors>;
    if constexpr (kKFast) {
      const float4 v = ldv<float4>(tile + Tile::at(i, k));
      f[0] = v.x;
      f[1] = v.y;
      f[2] = v.z;
      f[3] = v.w;
    } else {
#pragma unroll
      for (int kk = 0; kk < 4; ++kk) f[kk] = tile[Tile::at(i, k + kk)];
    }
  }
};

/// Tensor cores: warps of kM/kWarpsM x kN/kWarpsN results each, in fragments of 16 x 8: 32 x 32 of
/// a tile of 64 x 64, else 64 x 32.
///   tf32    one product of operands rounded to 11 significant bits
///   tf32x3  v = high + low, both TF32: low high + high low + high high. The products go into
///           fragments that begin at 0 and are added to the sums in fp32, because tensor cores
///           truncate (conv2d/cuda/mma_tile.cuh)
///   bf16    operands rounded to 8 significant bits, two of them in a register
template <Precision kPrecision, int kM_, int kN_>
struct MmaMath {
  static constexpr int kM = kM_, kN = kN_;
  static constexpr int kWarpsM = 2, kWarpsN = kN / 32;
  static constexpr int kI = kM / kWarpsM / 16, kJ = kN / kWarpsN / 8;  // fragments of a warp
  static constexpr int kThreadsOfBlock = 32 * kWarpsM * kWarpsN;
  // On a multiprocessor: at most 128 registers for the small tile, 255 for the others.
  static constexpr int kBlocks = (kM == 64 ? 512 : 256) / kThreadsOfBlock;
  static constexpr int kRows = 2 * kI;
  static constexpr int kSharers = 4 * kWarpsN;  // threads that share a row: 4 lanes of each warp
  float sum[kI][kJ][4];

  __device__ void clear() {
    for (auto& fragments : sum)
      for (auto& fragment : fragments)
        for (float& s : fragment) s = 0;
  }
  __device__ void add(const MmaMath& other) {
    for (int i = 0; i < kI; ++i)
      for (int j = 0; j < kJ; ++j)
        for (int e = 0; e < 4; ++e) sum[i][j][e] += other.sum[i][j][e];
  }

  template <bool kAFast, bool kBFast>
  __device__ void add(const float* a, const float* b) {
    constexpr int kStep = kPrecision == Precision::bf16 ? 16 : 8;
#pragma unroll
    for (int k = 0; k < kProductDepth; k += kStep) {
      const int g = lane() / 4;
      uint32_t fb[kJ][2], fb_low[kJ][2];  // only tf32x3 uses the low parts
#pragma unroll
      for (int j = 0; j < kJ; ++j)
#pragma unroll
        for (int r = 0; r < 2; ++r)  // B(q, g), B(q+4, g)
          fb[j][r] = operand<kBFast, kN>(b, column() + 8 * j + g, k, r, fb_low[j][r]);
#pragma unroll
      for (int i = 0; i < kI; ++i) {
        uint32_t fa[4], fa_low[4];
#pragma unroll
        for (int r = 0; r < 4; ++r)  // A(g, q), A(g+8, q), A(g, q+4), A(g+8, q+4)
          fa[r] = operand<kAFast, kM>(a, row_of(2 * i + r % 2), k, r / 2, fa_low[r]);
#pragma unroll
        for (int j = 0; j < kJ; ++j) multiply(sum[i][j], fa, fa_low, fb[j], fb_low[j]);
      }
    }
  }
  template <class F>
  __device__ void for_each(const F& f) const {
#pragma unroll
    for (int i = 0; i < kI; ++i)
#pragma unroll
      for (int j = 0; j < kJ; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          f(2 * i + e / 2, row_of(2 * i + e / 2), column() + 8 * j + lane() % 4 * 2 + e % 2,
            sum[i][j][e]);
  }
  __device__ static int row_of(int slot) {
    return kM / kWarpsM * (warp() / kWarpsN) + slot / 2 * 16 + slot % 2 * 8 + lane() / 4;
  }
  __device__ static int sharer() {
    return warp() % kWarpsN * 4 + lane() % 4;
  }

 private:
  __device__ static int lane() {
    return static_cast<int>(threadIdx.x) % 32;
  }
  __device__ static int warp() {
    return static_cast<int>(threadIdx.x) / 32;
  }
  /// First column of the warp.
  __device__ static int column() {
    return kN / kWarpsN * (warp() % kWarpsN);
  }

  /// One register of a fragment of vector i: in TF32 the element k + q + 4 half, in bf16 a pair.
  /// Any assignment of pairs gives the same sum if A and B share it; this one avoids bank
  /// conflicts.
  template <bool kKFast, int kVectors>
  __device__ static uint32_t operand(const float* tile, int i, int k, int half, uint32_t& low) {
    using Tile = ProductTile<kKFast, kVectors>;
    const int q = lane() % 4;
    if constexpr (kPrecision == Precision::bf16) {
      const int at = k + q + 8 * half;
      return ptx::cvt_bf16x2(tile[Tile::at(i, at)], tile[Tile::at(i, at + 4)]);
    } else {
      const float v = tile[Tile::at(i, k + q + 4 * half)];
      const uint32_t high = ptx::cvt_tf32(v);
      if constexpr (kPrecision == Precision::tf32x3) low = ptx::cvt_tf32(v - __uint_as_float(high));
      return high;
    }
  }

  __device__ static void multiply(float (&sum)[4], const uint32_t (&a)[4],
                                  [[maybe_unused]] const uint32_t (&a_low)[4],
                                  const uint32_t (&b)[2],
                                  [[maybe_unused]] const uint32_t (&b_low)[2]) {
    if constexpr (kPrecision == Precision::bf16) {
      ptx::mma_m16n8k16_bf16(sum, a, b);
    } else if constexpr (kPrecision == Precision::tf32x3) {
      float products[4] = {};
      ptx::mma_m16n8k8_tf32(products, a_low, b);  // small products first, for accuracy
      ptx::mma_m16n8k8_tf32(products, a, b_low);
      ptx::mma_m16n8k8_tf32(products, a, b);
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[e] += products[e];
    } else {
      ptx::mma_m16n8k8_tf32(sum, a, b);
    }
  }
};

/// math.sum = the product of rows i0 ... of A and columns j0 ... of B over k in [k_begin, k_end).
/// A ring of three stages: while one is multiplied, the next two are copied. `shared` has
/// product_bytes<Math>() bytes. All threads of the block call it; it ends with a barrier.
template <bool kAFast, bool kBFast, class Math>
__device__ __forceinline__ void block_product(Math& math, const Vectors& a, const Vectors& b,
                                              int i0, int j0, int k_begin, int k_end, bool a_by_16,
                                              bool b_by_16, float* shared) {
  constexpr int kThreadsOfBlock = Math::kThreadsOfBlock;
  constexpr int kA = tile_floats(Math::kM), kStage = kA + tile_floats(Math::kN);
  const auto load = [&](int tile) {
    const int k0 = k_begin + tile * kProductDepth;
    float* to = shared + tile % kProductStages * kStage;
    if (k0 < k_end) {
      if (a_by_16)
        copy_tile<kAFast, Math::kM, kThreadsOfBlock, 4>(to, a, i0, k0, k_end);
      else
        copy_tile<kAFast, Math::kM, kThreadsOfBlock, 1>(to, a, i0, k0, k_end);
      if (b_by_16)
        copy_tile<kBFast, Math::kN, kThreadsOfBlock, 4>(to + kA, b, j0, k0, k_end);
      else
        copy_tile<kBFast, Math::kN, kThreadsOfBlock, 1>(to + kA, b, j0, k0, k_end);
    }
    ptx::cp_async_commit();  // an empty group after the last tile, so that the wait's count holds
  };
  math.clear();
  for (int stage = 0; stage < kProductStages - 1; ++stage) load(stage);
  const int tiles = (k_end - k_begin + kProductDepth - 1) / kProductDepth;
  for (int tile = 0; tile < tiles; ++tile) {
    ptx::cp_async_wait<kProductStages - 2>();  // this thread's copies of the tile have landed;
    __syncthreads();                           // those of all have, and the stage before is free
    load(tile + kProductStages - 1);
    const float* stage = shared + tile % kProductStages * kStage;
    math.template add<kAFast, kBFast>(stage, stage + kA);
  }
  ptx::cp_async_wait<0>();
  __syncthreads();
}

}  // namespace assay::cuda
