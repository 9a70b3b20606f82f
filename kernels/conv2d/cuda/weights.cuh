// The filters of every phase, and the sum of the partial gradients of the filters.
#pragma once

#include <algorithm>

#include "kernels/conv2d/cuda/implicit_gemm.cuh"
#include "kernels/runtime/memory.h"

namespace assay::cuda {

/// The filters as the implicit GEMM reads them, B(n,d): phase by phase, (K, taps_r, taps_s, C) of
/// the dense convolution. fprop without an upsampling reads w itself if w is aligned. Otherwise a
/// small kernel folds or flips the filters in every call; no copy is kept, because the replay of a
/// CUDA graph changes w without the host's knowledge.
class PhaseWeights {
 public:
  PhaseWeights(Context& ctx, const DenseConv& conv, const float* w, bool round_to_tf32 = false);
  const float* get() const { return weights_; }

 private:
  Scratch packed_;
  const float* weights_;
};

/// The same of bf16, for an even depth.
class PhaseWeightsBf16 {
 public:
  PhaseWeightsBf16(Context& ctx, const DenseConv& conv, const float* w);
  /// Two elements in a word.
  const float* words() const { return packed_.as<float>(); }

 private:
  Scratch packed_;
};

/// Cuts wgrad's depth, the pixels of z, into parts, so that a small gradient keeps all
/// multiprocessors busy; the parts are added in order. The cut depends on the shape alone, so the
/// bits are the same on every device.
struct WgradCut {
  int parts;   ///< parts of each phase
  int pixels;  ///< pixels of a part, a multiple of `step`

  static constexpr int64_t kTwoEach = 264;  // two blocks for each of an H100's 132 multiprocessors

  WgradCut(const DenseConv& conv, int64_t tiles, int step, int64_t blocks = kTwoEach) {
    constexpr int kMinSteps = 8;  // per part, because its sums are stored and read again
    constexpr int64_t kMaxFloats = int64_t{1} << 24;  // all parts together
    const int64_t all = conv.max_pixels();
    const int64_t by_size = kMaxFloats / (conv.phases() * conv.phase_weights());
    int64_t most = std::min(blocks / (tiles * conv.phases()), by_size);
    most = std::max<int64_t>(1, std::min(most, all / (kMinSteps * step)));
    pixels =
        static_cast<int>(std::max<int64_t>(1, ((all + most - 1) / most + step - 1) / step) * step);
    parts = static_cast<int>(std::max<int64_t>(1, (all + pixels - 1) / pixels));
  }
};

/// The partial gradients (parts, phases, K, taps_r*taps_s*C). If there is only one, it is dw
/// itself.
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
