// From a finished tile to the output: max-pool, bias, activation, argmax. Every version leaves its
// tile of sums in shared memory. Here every thread takes whole windows, so that neighbouring
// threads write neighbouring addresses.
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

namespace assay::cuda {

/// What is applied to the sums, and where they are stored. dgrad has no bias and no activation.
struct Epilogue {
  float* out;
  uint8_t* argmax = nullptr;
  const float* bias = nullptr;
  Activation activation = Activation::none;
  float slope = 0;
};

/// Stores rows [m0, m0 + kM) and columns [n0, n0 + kN) of a phase from `tile`, whose rows are
/// kPitch floats apart. All kThreads threads of the block call it after a barrier.
template <int kM, int kN, int kPitch, int kThreads>
__device__ void store_tile(const Phase& phase, int m_end, int K, int m0, int n0, const float* tile,
                           const Epilogue& e) {
  static_assert(kM % 16 == 0, "a tile holds whole 4x4 windows");
  const int window = phase.pool * phase.pool;
  for (int i = static_cast<int>(threadIdx.x); i < kM / window * kN; i += kThreads) {
    const int row = i / kN * window, column = i % kN, k = n0 + column;
    if (m0 + row >= m_end || k >= K) continue;
    float best = tile[row * kPitch + column];
    int place = 0;
    for (int v = 1; v < window; ++v)
      if (const float z = tile[(row + v) * kPitch + column]; z > best) {
        best = z;
        place = v;
      }
    if (e.bias != nullptr) best += e.bias[k];
    const int64_t at = phase.output(m0 + row) * K + k;
    e.out[at] = activate(e.activation, e.slope, best);
    if (e.argmax != nullptr) e.argmax[at] = static_cast<uint8_t>(place);
  }
}

}  // namespace assay::cuda
