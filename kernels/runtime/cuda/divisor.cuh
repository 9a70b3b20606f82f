// Division by a number that the host knows: one multiplication and a shift.
#pragma once

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

/// floor(n / d) for 0 <= n < 2^31 and 1 <= d < 2^31. With s = ceil(log2 d) and the 32-bit
/// m = ceil(2^(31+s) / d) it is n m / 2^(31+s), rounded down (Granlund, Montgomery, "Division by
/// Invariant Integers using Multiplication", 1994, theorem 4.2).
class Divisor {
 public:
  Divisor() = default;
  ASSAY_HD explicit Divisor(int d) : d_(d) {
    while ((int64_t{1} << shift_) < d) ++shift_;
    multiplier_ = static_cast<uint32_t>(((uint64_t{1} << (31 + shift_)) + d - 1) / d);
  }
  ASSAY_HD int value() const { return d_; }
  __device__ int quotient(int n) const {
    return static_cast<int>(__umulhi(2 * static_cast<uint32_t>(n), multiplier_) >> shift_);
  }

 private:
  int d_ = 1, shift_ = 0;
  uint32_t multiplier_ = 1u << 31;
};

}  // namespace assay::cuda
