// The product of a block of threads: kM rows of A times kN columns of B, summed over a range of k.
// The matrix product stores it; the kernel densities update their running sums with it.
//
// Both operands are lists of vectors along k, the rows of A and the columns of B, and lie in memory
// in one of two layouts:
//
//   k fast   element (i, k) at p[i K + k]
//   i fast   element (i, k) at p[k count + i]
//
// cp.async cannot transpose, so a tile in shared memory keeps the layout of its operand: "depth
// contiguous" and "rows contiguous" of the Tile, FmaTile or MmaTile, which forms the products.
// Copies move words of four bytes, each a float or two bf16 along the fast index.
#pragma once

#include "kernels/gemm/cuda/fma_tile.cuh"
#include "kernels/gemm/cuda/mma_tile.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

/// Bytes of shared memory: the stages.
template <class Tile>
ASSAY_HD constexpr size_t product_bytes() {
  return sizeof(float) * Tile::kStages * (Tile::kFloatsA + Tile::kFloatsB);
}

/// The fast one of count and K is in words.
struct Vectors {
  const float* p;
  int count, K;
};
template <int kElements>
ASSAY_HD Vectors vectors(const float* p, int count, int K, bool k_fast) {
  return {p, k_fast ? count : count / kElements, k_fast ? K / kElements : K};
}
/// Whether 16 bytes can be copied at a time; the offsets of such copies have 32 bits.
inline bool copies_by_16(const Vectors& v, bool k_fast) {
  return aligned16(v.p) && (k_fast ? v.K : v.count) % 4 == 0 &&
         int64_t{v.count} * v.K < int64_t{1} << 32;
}

/// The copies of one operand, stage by stage. What a thread copies stays at the same place of a
/// stage, so its offsets are computed once, and a uniform pointer moves along k. Vectors beyond the
/// last one are copies of others; their products are not used.
template <class Tile, bool kKFast, int kVectors>
class OperandCopies {
 public:
  /// Vectors from i0 on, k from k_begin on; both in elements.
  __device__ OperandCopies(const Vectors& v, int i0, int k_begin, bool by_16)
      : v_(v), by_16_(by_16) {
    i0 /= kKFast ? 1 : kElements;
    k_begin /= kKFast ? kElements : 1;
    i0_ = i0;
    from_ = v.p + (kKFast ? int64_t{i0} * v.K + k_begin : int64_t{k_begin} * v.count + i0);
    const int i = kKFast ? Tile::copy_row(thread() / kAcross) : thread() % kAcross * 4;
    k_ = kKFast ? thread() % kAcross * 4 : thread() / kAcross;
    to_ = Tile::template at<kKFast, kVectors>(kKFast ? i : 0, k_) + (kKFast ? 0 : i);
#pragma unroll
    for (int c = 0; c < kCopies; ++c) {
      const bool exists = i0 + i + (kKFast ? c * kStep : 0) < v.count;
      const uint32_t row = exists ? i + (kKFast ? c * kStep : 0) : 0;
      const uint32_t k = k_ + (kKFast ? 0 : c * kStep);
      offsets_[c] = kKFast ? row * v.K + k : k * v.count + row;
    }
  }

  /// Starts the copies of the next stage into `tile`, with zeros from the `left`-th k on.
  __device__ __forceinline__ void start(float* tile, int left) {
    left /= kKFast ? kElements : 1;
    if (kElements > 1 || by_16_) {
#pragma unroll
      for (int c = 0; c < kCopies; ++c)
        ptx::cp_async<16>(tile + to_ + Tile::floats_between(kKFast, kVectors, c * kStep),
                          from_ + offsets_[c], k_ + (kKFast ? 0 : c * kStep) < left);
    } else {
      start_by_4(tile, left);
    }
    from_ += kKFast ? Tile::kLine : int64_t{Tile::kDepth} * v_.count;
  }

 private:
  static constexpr int kElements = Tile::kElements;
  static constexpr int kAcross =
      (kKFast ? Tile::kLine : kVectors / kElements) / 4;  // copies of a line
  static constexpr int kStep = Tile::kThreads / kAcross;  // lines that are copied at once
  static constexpr int kCopies = (kKFast ? kVectors : Tile::kDepth) / kStep;  // of a thread
  static_assert(!kKFast || kStep % 8 == 0, "the layout of a tile repeats every 8 rows");

  static __device__ int thread() {
    return static_cast<int>(threadIdx.x);
  }

  /// Floats that are not aligned: neighbouring threads copy neighbouring ones.
  __device__ void start_by_4(float* tile, int left) {
    constexpr int kLine = kKFast ? Tile::kDepth : kVectors;
#pragma unroll 1
    for (int first = 0; first < kVectors * Tile::kDepth; first += Tile::kThreads) {
      const int c = first + thread();
      const int i = kKFast ? Tile::copy_row(c / kLine) : c % kLine;
      const int k = kKFast ? c % kLine : c / kLine;
      const bool inside = i0_ + i < v_.count && k < left;
      const int64_t at = kKFast ? int64_t{i} * v_.K + k : int64_t{k} * v_.count + i;
      ptx::cp_async<4>(tile + Tile::template at<kKFast, kVectors>(i, k), inside ? from_ + at : v_.p,
                       inside);
    }
  }

  const Vectors& v_;
  int i0_;
  bool by_16_;
  const float* from_;  // word (i0, first k of the next stage)
  int k_, to_;         // this thread's first k, and its first place in a stage
  uint32_t offsets_[kCopies];
};

/// tile.sums = the product of rows i0 ... of A and columns j0 ... of B over k in [k_begin, k_end).
/// A ring of three stages: while one is multiplied, the next two are copied; `hoisted` has one
/// stage. `shared` has
/// product_bytes<Tile>() bytes. Operands of two elements in a word are by_16. All threads of the
/// block call it; it ends with a barrier.
template <class Tile>
__device__ __forceinline__ void block_product(Tile& tile, const Vectors& a, const Vectors& b,
                                              int i0, int j0, int k_begin, int k_end, bool a_by_16,
                                              bool b_by_16, float* shared) {
  [[maybe_unused]] constexpr int kStage = Tile::kFloatsA + Tile::kFloatsB;
  OperandCopies<Tile, Tile::kADepth, Tile::kM> copies_a(a, i0, k_begin, a_by_16);
  OperandCopies<Tile, Tile::kBDepth, Tile::kN> copies_b(b, j0, k_begin, b_by_16);
  int left = k_end - k_begin;  // of k, to be copied
  const auto load = [&](float* stage) {
    if (left > 0) {
      copies_a.start(stage, left);
      copies_b.start(stage + Tile::kFloatsA, left);
    }
    left -= Tile::kDepth;
    ptx::cp_async_commit();  // an empty group after the last stage, so that the wait's count holds
  };
  tile.clear();
  if constexpr (Tile::kStages == 1) {  // the version `hoisted`: nothing overlaps
    for (int k = k_begin; k < k_end; k += Tile::kDepth) {
      load(shared);
      ptx::cp_async_wait<0>();
      __syncthreads();
      tile.multiply(shared, shared + Tile::kFloatsA);
      __syncthreads();  // before the stage is filled again
    }
  } else {
    for (int stage = 0; stage < Tile::kStages - 1; ++stage) load(shared + stage * kStage);
    int filled = 0, free = (Tile::kStages - 1) * kStage;  // offsets of stages
    for (int k = k_begin; k < k_end; k += Tile::kDepth) {
      ptx::cp_async_wait<Tile::kStages - 2>();  // this thread's copies of the stage have landed;
      __syncthreads();                          // those of all have, and the stage before is free
      load(shared + free);
      tile.multiply(shared + filled, shared + filled + Tile::kFloatsA);
      free = filled;
      filled = filled == (Tile::kStages - 1) * kStage ? 0 : filled + kStage;
    }
    ptx::cp_async_wait<0>();
    __syncthreads();
  }
}

}  // namespace assay::cuda
