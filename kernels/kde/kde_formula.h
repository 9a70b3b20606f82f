// The online sum over training points, and the constant before it; in double everywhere.
#pragma once

#include <cmath>

#include "kernels/runtime/formula.h"

namespace assay {

/// log sum exp of the exponents added so far, kept as the largest exponent and the sum of
/// exp(exponent - largest), so that no exponential overflows and the sum never underflows.
struct OnlineLogSumExp {
  double largest = -HUGE_VAL;
  double sum = 0;

  ASSAY_FORMULA void add(double exponent) { merge({exponent, 1}); }
  ASSAY_FORMULA void merge(const OnlineLogSumExp& other) {
    if (other.largest == -HUGE_VAL) return;  // adds exp(-inf) = 0
    if (other.largest > largest) {
      sum = sum * exp(largest - other.largest) + other.sum;
      largest = other.largest;
    } else {
      sum += other.sum * exp(other.largest - largest);
    }
  }
  ASSAY_FORMULA double value() const { return largest + log(sum); }
};

/// -ln n - (D/2) ln(2 pi h^2).
ASSAY_FORMULA double kde_log_normaliser(int n, int D, double h) {
  constexpr double kTwoPi = 6.28318530717958647693;
  return -log(static_cast<double>(n)) - 0.5 * D * log(kTwoPi * h * h);
}

}  // namespace assay
