// A 3x3 convolution of one channel and the 2x2 max-pool behind it.
#pragma once

#include <cstdint>

#include "kernels/runtime/isa.h"

namespace assay {

/// Neighbouring windows of one row under every filter. The nine taps of a vector of filters and the
/// four sums of a window stay in registers.
struct OneChannelWindows {
  const float* image;  ///< the first pixel under the first window
  int64_t row;         ///< floats between rows of the image
  int windows;
  int K;                 ///< a multiple of 16
  const float* filters;  ///< (9,K)
  const float* bias;     ///< (K) or null
  float* out;            ///< (windows,K): the maximum of each window
  uint8_t* argmax;       ///< (windows,K): a*2 + b of the first maximum; or null
};

ASSAY_ISA_DECLARE(void one_channel_windows(const OneChannelWindows& job);)

}  // namespace assay
