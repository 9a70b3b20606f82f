// Division by a number that the host knows: one multiplication and a shift.
#pragma once

#include <cstdint>

#include "kernels/runtime/device.h"

namespace assay {

/// floor(n / d) for 0 <= n < 2^31 and 1 <= d < 2^31. With s = ceil(log2 d) and m = ceil(2^(31+s) /
/// d), which has 32 bits, it is floor(n m / 2^(31+s)) (Granlund, Montgomery, "Division by Invariant
/// Integers using Multiplication", 1994, theorem 4.2).
class Divisor {
 public:
  constexpr Divisor() = default;
  ASSAY_HD constexpr explicit Divisor(int d) : d_(d) {
    const uint64_t divisor = static_cast<uint64_t>(d);
    while (uint64_t{1} << shift_ < divisor) ++shift_;
    multiplier_ = static_cast<uint32_t>(((uint64_t{1} << (31 + shift_)) + divisor - 1) / divisor);
  }
  ASSAY_HD constexpr int value() const { return d_; }
  ASSAY_HD constexpr int quotient(int n) const {
    const uint64_t product = uint64_t{2 * static_cast<uint32_t>(n)} * multiplier_;
    return static_cast<int>(static_cast<uint32_t>(product >> 32) >> shift_);  // the upper half
  }

 private:
  int d_ = 1, shift_ = 0;
  uint32_t multiplier_ = 1u << 31;
};

}  // namespace assay
