// The filters of every phase, and the sum of the partial gradients of the filters.
#pragma once

#include <algorithm>
#include <memory>

#include "kernels/conv2d/cuda/implicit_gemm.cuh"
#include "kernels/runtime/context.h"
#include "kernels/runtime/partial_sum.h"

namespace assay::cuda {

/// The filters as the implicit GEMM reads them, B(n,d): phase by phase, (K, taps_r, taps_s, C) of
/// the dense convolution. fprop without an upsampling reads w itself if w is aligned. Otherwise a
/// small kernel folds or flips the filters, those of all layers at once in a recorded step
/// (StepPacks). Other calls keep no copy, because the replay of a CUDA graph changes w without the
/// host's knowledge.
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
  const float* words() const { return words_; }

 private:
  Scratch packed_;
  const float* words_;
};

/// The filters of fprop or dgrad transformed for the version `winograd` (winograd.cuh), packed as
/// those of PhaseWeights are.
class TransformedFilters {
 public:
  TransformedFilters(Context& ctx, const DenseConv& conv, const float* w);
  const float* get() const { return filters_; }

 private:
  Scratch packed_;
  const float* filters_;
};

/// The filters as boxes of TMA read them: (phases, parts, K, taps, C), every phase with the taps of
/// the largest one. C is in 4s. In tf32x3 there are two parts, big and small ones; fprop in tf32
/// without an upsampling reads w itself if it is aligned.
class BoxedWeights {
 public:
  /// precision: tf32, tf32x3 or bf16, which is the type of the elements too.
  BoxedWeights(Context& ctx, const DenseConv& conv, const float* w, Precision precision);
  const void* get() const { return weights_; }

 private:
  Scratch packed_;
  const void* weights_;
};

/// Elements of dw.
ASSAY_HD inline int64_t filter_elements(const DenseConv& conv) {
  return int64_t{conv.K} * conv.rows.filter * conv.columns.filter * conv.C;
}
/// Floats between two partial gradients of n elements: whole 16 bytes.
ASSAY_HD inline int64_t gradient_stride(int64_t n) {
  return (n + 3) / 4 * 4;
}

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
    const int64_t by_size = kMaxFloats / (conv.phases() * filter_elements(conv));
    int64_t most = std::min(blocks / (tiles * conv.phases()), by_size);
    most = std::max<int64_t>(1, std::min(most, all / (kMinSteps * step)));
    pixels =
        static_cast<int>(std::max<int64_t>(1, ((all + most - 1) / most + step - 1) / step) * step);
    parts = static_cast<int>(std::max<int64_t>(1, (all + pixels - 1) / pixels));
  }
};

/// Partial gradients of a parameter of n elements, gradient_stride(n) floats apart. If there is one
/// part, it is the gradient itself; if the gradient is null, there is none.
class GradientPartials {
 public:
  GradientPartials(Context& ctx, int64_t n, int parts, float* gradient);
  float* get() const { return partials_; }
  /// The gradient = the sum of the parts, in order, or left as such (Context::unfinished).
  void sum() const;

 private:
  Context& ctx_;
  float* gradient_;
  float* partials_;
  PartialSum sum_;  // no addend if there is one part
};

/// Those of dw (parts, phases, K, R, S, C) and of dbias (parts, phases, K).
struct WgradPartials {
  GradientPartials dw, dbias;

  WgradPartials(Context& ctx, const DenseConv& conv, const WgradCut& cut, float* dw_to,
                float* dbias_to)
      : dw(ctx, filter_elements(conv), cut.parts * conv.phases(), dw_to),
        dbias(ctx, conv.K, cut.parts * conv.phases(), dbias_to) {}
  void sum() const {
    dw.sum();
    dbias.sum();
  }
};

/// Stores wgrad's sums of one phase and part in the layout of dw. A tap of a phase is the sum of
/// several filter taps, and each of those has its gradient. The channels of conv and phase are in
/// words of kElements.
template <int kElements = 1>
class PartialGradient {
 public:
  /// z = part * phases + phase: the place in the partials of dw.
  __device__ PartialGradient(const PhasedConv& conv, const Phase& phase, float* partials, int z)
      : out_(partials + z * gradient_stride(filter_elements(conv) * kElements)),
        phase_(phase),
        R_(conv.rows.filter),
        S_(conv.columns.filter),
        upsample_(conv.rows.upsample),
        first_r_(phase.first_r * upsample_ - phase.a + conv.rows.pad),
        first_s_(phase.first_s * upsample_ - phase.b + conv.columns.pad) {}

  /// The sum for filter k and element d = (r, t, c) of the phase's depth.
  __device__ void store(int k, int d, float sum) const {
    if (upsample_ == 1) {
      out_[int64_t{k} * (R_ * S_ * phase_.C * kElements) + d] = sum;
      return;
    }
    const Tap tap = tap_of(phase_, d / kElements);
    const int c = tap.c * kElements + d % kElements;
    const int r = first_r_ + tap.r * upsample_, s = first_s_ + tap.t * upsample_;
    for (int i = max(r, 0); i < min(r + upsample_, R_); ++i)
      for (int j = max(s, 0); j < min(s + upsample_, S_); ++j)
        out_[((int64_t{k} * R_ + i) * S_ + j) * (phase_.C * kElements) + c] = sum;
  }

 private:
  float* out_;
  const Phase& phase_;
  int R_, S_, upsample_, first_r_, first_s_;
};

}  // namespace assay::cuda
