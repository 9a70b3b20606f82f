// From a finished tile to the output: max-pool, bias, activation, argmax. Every version leaves its
// tile of sums in shared memory. Here every thread takes whole windows of four filters, so that
// neighbouring threads write neighbouring addresses.
//
//      tile (pixels x filters)             output
//      +----------------+
//      | m=0   k ->     | .                  +----------------+
//      | m=1            | .  max, and which  | window 0, k -> |  + one byte of argmax each
//      | m=2            | .  of the four ->  +----------------+
//      | m=3            | .                  | window 1       |
//      | ...            |
#pragma once

#include "kernels/conv2d/cuda/implicit_gemm.cuh"
#include "kernels/runtime/cuda/elements.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {

/// What is applied to the sums, and where they are stored. dgrad has no bias and no activation.
template <class T>
struct EpilogueInto {
  T* out;
  uint8_t* argmax = nullptr;
  const float* bias = nullptr;
  Activation activation = Activation::none;
  float slope = 0;
};
using Epilogue = EpilogueInto<float>;

/// Stores rows [m0, m0 + kM) and columns [n0, n0 + kN) of a phase from `tile`, whose rows are
/// kPitch floats apart. All kThreads threads of the block call it after a barrier. A thread takes
/// four columns of a window at once.
template <int kM, int kN, int kPitch, int kThreads, class T>
__device__ void store_tile(const Phase& phase, int m_end, int K, int m0, int n0, const float* tile,
                           const EpilogueInto<T>& e) {
  static_assert(kM % 16 == 0, "a tile holds whole 4x4 windows");
  const int window = 1 << 2 * phase.pool_log2;
  const bool by_four = K % 4 == 0 && aligned_by_4(e.out) && aligned_by_4(e.argmax);
  for (int i = static_cast<int>(threadIdx.x); i < (kM >> 2 * phase.pool_log2) * (kN / 4);
       i += kThreads) {
    const int row = i / (kN / 4) << 2 * phase.pool_log2, column = i % (kN / 4) * 4, k = n0 + column;
    if (m0 + row >= m_end || k >= K) continue;
    const float4 first = ldv<float4>(tile + row * kPitch + column);
    float best[4] = {first.x, first.y, first.z, first.w};
    uint8_t place[4] = {};
    for (int v = 1; v < window; ++v) {
      const float4 next = ldv<float4>(tile + (row + v) * kPitch + column);
      const float z[4] = {next.x, next.y, next.z, next.w};
#pragma unroll
      for (int c = 0; c < 4; ++c)
        if (z[c] > best[c]) {
          best[c] = z[c];
          place[c] = static_cast<uint8_t>(v);
        }
    }
    const int64_t at = phase.output(m0 + row) * K + k;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (e.bias != nullptr && k + c < K) best[c] += e.bias[k + c];
      best[c] = activate(e.activation, e.slope, best[c]);
    }
    if (by_four) {
      store_4(e.out + at, make_float4(best[0], best[1], best[2], best[3]));
      if (e.argmax != nullptr)
        stv(e.argmax + at, make_uchar4(place[0], place[1], place[2], place[3]));
      continue;
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (k + c >= K) continue;
      e.out[at + c] = static_cast<T>(best[c]);
      if (e.argmax != nullptr) e.argmax[at + c] = place[c];
    }
  }
}

}  // namespace assay::cuda
