// The filters of every phase, and the sum of the partial gradients of the filters.
#pragma once

#include <algorithm>

#include "kernels/conv2d/cuda/implicit_gemm.cuh"
#include "kernels/runtime/memory.h"

namespace assay::cuda {

/// The filters as the implicit GEMM reads them, B(n,d): phase by phase, (K, taps_r, taps_s, C) of
/// the dense convolution. fprop without an upsampling reads w as it is
/// (where it is aligned); otherwise the filters are
/// folded or flipped by a small kernel, in every call: a step that is replayed as a CUDA graph
/// changes w behind the host's back, so a copy kept from an earlier call may be out of date.
class PhaseWeights {
 public:
  PhaseWeights(Context& ctx, const DenseConv& conv, const float* w);
  const float* get() const { return weights_; }

 private:
  Scratch packed_;
  const float* weights_;
};

/// wgrad's depth, the pixels of z, is cut into parts, so that a small gradient keeps all
/// multiprocessors busy; the parts are added in order. By the shape alone, so the bits are the same
/// on every device.
struct WgradCut {
  int parts;   ///< of each phase
  int pixels;  ///< of a part, a multiple of `step`

  static constexpr int64_t kTwoEach = 264;  // blocks for each of an H100's 132 multiprocessors

  WgradCut(const DenseConv& conv, int64_t tiles, int step, int64_t blocks = kTwoEach) {
    constexpr int kMinSteps = 8;  // of a part: its sums are stored and read again
    constexpr int64_t kMaxFloats = int64_t{1} << 24;  // of all parts together
    const int64_t all = conv.max_pixels();
    const int64_t by_size = kMaxFloats / (conv.phases() * conv.phase_weights());
    int64_t most = std::min(blocks / (tiles * conv.phases()), by_size);
    most = std::max<int64_t>(1, std::min(most, all / (kMinSteps * step)));
    pixels =
        static_cast<int>(std::max<int64_t>(1, ((all + most - 1) / most + step - 1) / step) * step);
    parts = static_cast<int>(std::max<int64_t>(1, (all + pixels - 1) / pixels));
  }
};

/// The parts of wgrad: (parts, phases, K, taps_r*taps_s*C). A single one is dw itself.
class WgradPartials {
 public:
  WgradPartials(Context& ctx, const DenseConv& conv, const WgradCut& cut, float* dw);
  float* get() const { return partials_; }
  /// dw = the sum over parts and phases, in order.
  void sum_into(float* dw) const;

 private:
  Context& ctx_;
  DenseConv conv_;
  int parts_;
  Scratch scratch_;
  float* partials_;
};

}  // namespace assay::cuda
