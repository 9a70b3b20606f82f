// Verifies a convolution at the size that is timed: a random sample of its elements against float64
// on the CPU.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/baselines/baseline.h"

namespace assay::bench {

/// Host copies of the operands, NHWC and KRSC in fp32, and of y and argmax for the backward passes
/// (conv2d.h, Conv2dGrad).
struct ConvHost {
  Conv2dShape s;
  Conv2dEpilogue e;
  std::vector<float> x, w, bias, dy;
  std::vector<float> y;         ///< empty if the activation is none
  std::vector<uint8_t> argmax;  ///< empty without a pool
};

/// Some elements of a pass' result (their NHWC or KRSC indices) and their float64 values.
struct ConvSample {
  std::vector<int64_t> at;
  std::vector<double> value;
  std::vector<double> squares;  ///< sum of the squared products: expected square of the value

  /// Frobenius error of the results at `at`, relative to the values, or to their expected size if
  /// the sums happen to cancel. NaN counts as infinite.
  double error(const std::vector<float>& got) const;
};

/// 512 elements for fprop and dgrad, the first and the last among them; for wgrad up to 512 in 16
/// rows of neighbouring channels (each is a sum over the whole batch).
ConvSample sample_convolution(Context& ctx, const ConvHost& h, Pass pass);

/// The float64 value, before the activation, of place a*pool + b in the window of fprop's element
/// `at`.
double before_pooling(const ConvHost& h, int64_t at, int place);

/// The largest relative Frobenius error of a correct result. tf32: operands may be truncated to 11
/// significant bits (error up to 2^-10 each, one-sided). bf16: 8 significant bits, rounded, and the
/// result as well.
constexpr double max_error(Precision p) {
  return p == Precision::bf16 ? 1e-2 : p == Precision::tf32 ? 2e-3 : 1e-5;
}

}  // namespace assay::bench
