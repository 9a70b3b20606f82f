// The pipeline of the version `hopper`, which the matrix product and the convolution share: a
// producer copies by TMA, two consumers multiply by wgmma, and a ring of stages lies between them.
//
// clang-format off
//   producer    | copy 0 | copy 1 | ... wait for `empty` | copy 6 | ...      warpgroup 0, one thread
//   consumer 1       | multiply 0 | multiply 1 | ...                        warpgroup 1, rows 0-63
//   consumer 2       | multiply 0 | multiply 1 | ...                        warpgroup 2, rows 64-127
// clang-format on
//
// Each stage has two mbarriers. `full` completes when the bytes of the stage have landed, `empty`
// when every warp of the consumers has finished with it. A stage holds 32 floats or 64 bf16 of the
// depth: of A 128 rows, of B kN columns, each a line of 128 bytes with TMA's 128-byte swizzle, as
// wgmma reads it; or lines of 64 bytes. The producer runs ahead into the next tile while the
// consumers store this one.
#pragma once

#include "kernels/runtime/cuda/kernel.h"
#include "kernels/runtime/cuda/ptx_sm90.cuh"
#include "kernels/runtime/cuda/tensor_map.cuh"

namespace assay::cuda {

/// One product. TMA rounds A, and B if it has not been rounded before.
struct WgmmaTf32 {
  using Element = float;
  static constexpr int kParts = 1, kLineBytes = 128;
  static constexpr ptx::TensorElement kElementA = ptx::TensorElement::tfloat32;
  static constexpr ptx::TensorElement kElementB = ptx::TensorElement::tfloat32;
};
/// One product of bf16 tensors; B has been rounded before.
struct WgmmaBf16 {
  using Element = bf16;
  static constexpr int kParts = 1, kLineBytes = 128;
  static constexpr ptx::TensorElement kElementA = ptx::TensorElement::bfloat16;
  static constexpr ptx::TensorElement kElementB = ptx::TensorElement::bfloat16;
};
/// The same with stages of 32 elements, where half of 64 would be zeros.
struct WgmmaBf16Narrow : WgmmaBf16 {
  static constexpr int kLineBytes = 64;
};
/// Three products of big and small parts. B comes as two tiles, its big and its small parts; A is
/// fp32 and is taken apart in registers. Tensor cores truncate when they add, so the products of a
/// stage start at 0 and are then added to the sums in fp32.
struct WgmmaTf32x3 {
  using Element = float;
  static constexpr int kParts = 2, kLineBytes = 128;
  static constexpr ptx::TensorElement kElementA = ptx::TensorElement::float32;
  static constexpr ptx::TensorElement kElementB = ptx::TensorElement::tfloat32;
};

/// The place of a producer or a consumer in the ring.
struct RingPosition {
  int stage = 0;
  uint32_t parity = 0;  ///< of the phase of `full`
  __device__ void advance(int stages) {
    if (++stage < stages) return;
    stage = 0;
    parity ^= 1;
  }
};

template <class Math, int kColumns>
class WgmmaPipeline {
  static constexpr int kLine = Math::kLineBytes / 4;  // words

 public:
  using Element = typename Math::Element;
  static constexpr int kM = 128, kN = kColumns, kThreads = 384;
  static constexpr int kLineBytes = Math::kLineBytes;          ///< of a row of a stage
  static constexpr int kDepth = kLineBytes / sizeof(Element);  ///< elements of a stage
  static constexpr int kParts = Math::kParts;
  static constexpr int kWordsA = kM * kLine, kWordsB = kParts * kN * kLine;
  static constexpr int kStageBytes = 4 * (kWordsA + kWordsB);
  static constexpr int kStages = 196 * 1024 / kStageBytes < 6 ? 196 * 1024 / kStageBytes : 6;
  static constexpr size_t kBytes = size_t{kStages} * kStageBytes;  ///< of shared memory
  static_assert(kStages >= 4 && (kParts == 1 || kLineBytes == 128));

  /// stages: kBytes, aligned to 1024. barriers: 2 kStages. All threads of the block call it; a
  /// barrier of the block must follow.
  __device__ WgmmaPipeline(float* stages, uint64_t* barriers)
      : stages_(stages), full_(barriers), empty_(barriers + kStages) {
    if (threadIdx.x != 0) return;
    for (int s = 0; s < kStages; ++s) {
      ptx::mbarrier_init(&full_[s], 1);
      ptx::mbarrier_init(&empty_[s], kConsumerWarps);
    }
    ptx::mbarrier_init_fence();
  }

  static __device__ bool is_producer() { return threadIdx.x < 128; }
  /// The first calls of a producer, all 128 threads, and of the consumers. True for the thread that
  /// copies.
  static __device__ bool become_producer() {
    ptx::give_registers_back<40>();
    return threadIdx.x == 0;
  }
  static __device__ void become_consumer() { ptx::get_registers<232>(); }

  /// The producer's thread fills `steps` stages: load(a, b, full, step) starts the copies of one,
  /// kStageBytes in all.
  template <class Load>
  __device__ __forceinline__ void produce(RingPosition& at, int steps, const Load& load) {
    for (int step = 0; step < steps; ++step, at.advance(kStages)) {
      ptx::mbarrier_wait(&empty_[at.stage], at.parity ^ 1);
      ptx::mbarrier_arrive_expect_tx(&full_[at.stage], kStageBytes);
      float* a = stages_ + at.stage * (kWordsA + kWordsB);
      load(a, a + kWordsA, &full_[at.stage], step);
    }
  }

  /// A consumer multiplies `steps` stages, at least one. sums: row_of(e), column_of(e).
  __device__ __forceinline__ void consume(RingPosition& at, int steps, float (&sums)[kN / 2]) {
    if constexpr (kParts == 1)
      consume_single(at, steps, sums);
    else
      consume_in_parts(at, steps, sums);
  }
  /// Row and column, in the block's tile, of sum e of this thread.
  static __device__ int row_of(int e) { return first_row() + e / 2 % 2 * 8; }
  static __device__ int column_of(int e) { return e / 4 * 8 + lane() % 4 * 2 + e % 2; }

 private:
  static constexpr int kConsumerWarps = 8;

  static __device__ int lane() { return static_cast<int>(threadIdx.x) % 32; }
  static __device__ int first_row() {
    return (static_cast<int>(threadIdx.x) - 128) / 32 * 16 + lane() / 4;
  }
  /// Gives a stage back; the warp's reads of it have ended.
  __device__ __forceinline__ void release(int stage) {
    __syncwarp();
    if (lane() == 0) ptx::mbarrier_arrive(&empty_[stage]);
  }

  __device__ __forceinline__ void consume_single(RingPosition& at, int steps,
                                                 float (&sums)[kN / 2]) {
    int last = 0;
    for (int step = 0; step < steps; ++step) {
      ptx::mbarrier_wait(&full_[at.stage], at.parity);
      const float* b = stages_ + at.stage * (kWordsA + kWordsB) + kWordsA;
      const float* a = b - kWordsA + (threadIdx.x < 256 ? 0 : 64 * kLine);
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < kLine; k += 8) {  // 32 bytes
        const uint64_t at_a = ptx::wgmma_descriptor<kLineBytes>(a + k);
        const uint64_t at_b = ptx::wgmma_descriptor<kLineBytes>(b + k);
        if constexpr (sizeof(Element) == 2)
          ptx::wgmma_bf16<kN>(sums, at_a, at_b, step > 0 || k > 0);
        else
          ptx::wgmma_tf32<kN>(sums, at_a, at_b, step > 0 || k > 0);
      }
      ptx::wgmma_commit();
      ptx::wgmma_wait<1>();  // the products of the stage before have ended
      if (step > 0) release(last);
      last = at.stage;
      at.advance(kStages);
    }
    ptx::wgmma_wait<0>();
    release(last);
  }

  __device__ __forceinline__ void consume_in_parts(RingPosition& at, int steps,
                                                   float (&sums)[kN / 2]) {
#pragma unroll
    for (float& sum : sums) sum = 0;
    for (int step = 0; step < steps; ++step) {
      ptx::mbarrier_wait(&full_[at.stage], at.parity);
      const float* a = stages_ + at.stage * (kWordsA + kWordsB);
      const float* b = a + kWordsA;
      uint32_t big[4][4], small[4][4];  // [8 of the depth][register of A's fragment]
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int row = first_row() + e % 2 * 8, chunk = (2 * k + e / 2) ^ (row % 8);
          const float x = a[row * kLine + chunk * 4 + lane() % 4];
          big[k][e] = ptx::cvt_tf32(x);
          small[k][e] = ptx::cvt_tf32(x - __uint_as_float(big[k][e]));
        }
      float part[kN / 2];
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < 4; ++k)
        ptx::wgmma_tf32<kN>(part, small[k], ptx::wgmma_descriptor(b + 8 * k), k > 0);
#pragma unroll
      for (int k = 0; k < 4; ++k)
        ptx::wgmma_tf32<kN>(part, big[k], ptx::wgmma_descriptor(b + kN * kLine + 8 * k), true);
#pragma unroll
      for (int k = 0; k < 4; ++k)
        ptx::wgmma_tf32<kN>(part, big[k], ptx::wgmma_descriptor(b + 8 * k), true);
      ptx::wgmma_commit();
      ptx::wgmma_wait<0>();
      release(at.stage);
#pragma unroll
      for (int e = 0; e < kN / 2; ++e) sums[e] += part[e];
      at.advance(kStages);
    }
  }

  float* stages_;
  uint64_t *full_, *empty_;
};

}  // namespace assay::cuda
