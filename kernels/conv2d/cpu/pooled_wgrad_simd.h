// wgrad of a pooled layer: in each window only the pixel at the argmax has a gradient, so only its
// products are formed.
#pragma once

#include <cstdint>

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/isa.h"

namespace assay {

/// Lists the gradients d = dy * f'(y) of a row of windows, and the position of each argmax.
struct PooledRow {
  const float* dy;        ///< (windows, K)
  const float* y;         ///< (windows, K); not read when activation is none
  const uint8_t* argmax;  ///< (windows, K)
  int windows, K;
  Activation activation;
  float slope;
  int pool;
  /// position(window, k) = first + window*next + a*down + b*right for the argmax a*pool + b.
  int32_t first, next, down, right;
  float* d;           ///< (windows, K)
  int32_t* position;  ///< (windows, K)
  float* bias;        ///< (K), gets the sum of d over windows added; or null
};

/// Neighbouring channels of a pixel in the source of GatheredProducts.
inline constexpr int kGatheredChannels = 16;

/// sum(k, r, s, c) += sum over windows of d(window, k) x[position(window, k) + r*row + s*16 + c],
/// r, s < 3, c < 16.
struct GatheredProducts {
  const float* x;
  int64_t row;  ///< floats between the source's rows
  const float* d;
  const int32_t* position;
  int64_t windows;
  int K;
  float* sum;  ///< (K,3,3,16)
};

/// The sum of GatheredProducts for C <= 3 channels and a row of 2x2 windows: the 4x4 pixels under a
/// window are held in registers, and a permutation gives each filter its nine.
/// position(window, k) is a*16 + b*C.
struct PermutedProducts {
  const float* x;  ///< first pixel under the first window; 16 floats readable from each pixel on
  int64_t row;
  const float* d;
  const int32_t* position;
  int windows, C;
  int K;       ///< a multiple of 16
  float* sum;  ///< (K/16, 9C, 16)
};

ASSAY_ISA_DECLARE(void pooled_row(const PooledRow& row);
                  void gathered_products(const GatheredProducts& job);)

#if defined(__x86_64__)
namespace cpu::avx512 {
void permuted_products(const PermutedProducts& job);
}
#endif

}  // namespace assay
