// RMSprop and Adam. A call updates all parameters.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/runtime/context.h"
#include "kernels/runtime/partial_sum.h"

namespace assay {

/// One parameter tensor and its state; n elements each.
template <class T>
struct OptimSlot {
  int64_t n;
  T* w;         ///< weights, updated
  const T* dw;  ///< gradient
  T* m;         ///< first moment, updated (Adam); else null
  T* v;         ///< second moment, updated
  /// On CUDA, unless null: the gradient as a partial sum; dw is null then.
  const PartialSum* sum = nullptr;
};

/// Where epsilon is added.
///   keras   RMSprop g / sqrt(v + eps)     Adam rate * m / (sqrt(v) + eps),
///                                         rate = lr sqrt(1 - beta2^t) / (1 - beta1^t)
///   torch   RMSprop g / (sqrt(v) + eps)   Adam lr * m^ / (sqrt(v^) + eps), m^ and v^ corrected
enum class EpsPlacement : uint8_t { keras, torch };

/// Floats for the constants of a formula in device memory. A recorded step (StepRecorder) reads
/// them there; otherwise every replay would use the constants of the recording.
inline constexpr int kOptimConstants = 8;

/// v = rho v + (1 - rho) g^2;  w -= lr g / sqrt(v + eps). Tieleman and Hinton, 2012, lecture 6.5.
struct RmspropStep {
  double lr = 1e-3, rho = 0.9, eps = 1e-7;
  EpsPlacement placement = EpsPlacement::keras;
  const float* constants = nullptr;  ///< device memory, for float on CUDA; null: use this struct
};
/// Kingma and Ba, 2015, arXiv:1412.6980, algorithm 1. `t` counts steps from 1; adam_update() throws
/// Error for less.
struct AdamStep {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-7;
  int64_t t = 1;
  EpsPlacement placement = EpsPlacement::keras;
  const float* constants = nullptr;  ///< device memory, for float on CUDA; null: use this struct
};

template <class T>
void rmsprop_update(Context& ctx, const RmspropStep& o, const std::vector<OptimSlot<T>>& slots);
template <class T>
void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<T>>& slots);

/// Writes the constants of a step, in stream order, to kOptimConstants floats of device memory,
/// for later steps to read.
void write_constants(Context& ctx, const RmspropStep& o, float* constants);
void write_constants(Context& ctx, const AdamStep& o, float* constants);

}  // namespace assay
