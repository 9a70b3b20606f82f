// RMSprop and Adam for all parameters in one call.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/runtime/context.h"

namespace assay {

/// One parameter tensor and its state; n elements each.
template <class T>
struct OptimSlot {
  int64_t n;
  T* w;  ///< updated
  const T* dw;
  T* m;  ///< first moment (Adam), else null
  T* v;  ///< second moment
};

/// Where epsilon goes. keras: RMSprop g / sqrt(v + eps); Adam  rate * m / (sqrt(v) + eps) with the
/// rate lr sqrt(1 - beta2^t) / (1 - beta1^t). torch: g / (sqrt(v) + eps); Adam with m^ and v^.
enum class EpsPlacement : uint8_t { keras, torch };

/// A recorded step (StepRecorder) reads the constants of its formula from device memory, or it
/// would repeat those of the moment when it was recorded. kOptimConstants floats hold them.
inline constexpr int kOptimConstants = 8;

/// v = rho v + (1 - rho) g^2;  w -= lr g / sqrt(v + eps). Tieleman and Hinton, 2012, lecture 6.5.
struct RmspropStep {
  double lr = 1e-3, rho = 0.9, eps = 1e-7;
  EpsPlacement placement = EpsPlacement::keras;
  const float* constants = nullptr;  ///< of a float update on CUDA; null: those of this struct
};
/// Kingma and Ba, 2015, arXiv:1412.6980, algorithm 1. `t` counts steps from 1.
struct AdamStep {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-7;
  int64_t t = 1;
  EpsPlacement placement = EpsPlacement::keras;
  const float* constants = nullptr;  ///< of a float update on CUDA; null: those of this struct
};

template <class T>
void rmsprop_update(Context& ctx, const RmspropStep& o, const std::vector<OptimSlot<T>>& slots);
template <class T>
void adam_update(Context& ctx, const AdamStep& o, const std::vector<OptimSlot<T>>& slots);

/// Writes the constants of a step, in the order of the stream, to the device memory that
/// `constants` of later steps points to.
void write_constants(Context& ctx, const RmspropStep& o, float* constants);
void write_constants(Context& ctx, const AdamStep& o, float* constants);

}  // namespace assay
