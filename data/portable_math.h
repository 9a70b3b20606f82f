// Sine and logarithm from + - * / and sqrt alone, which IEEE 754 rounds the same everywhere: the
// built-in images and the noise must not depend on a machine's libm. The folder is compiled with
// -ffp-contract=off for the same reason.
#pragma once

#include <cmath>

namespace assay {

inline constexpr double kPi = 3.14159265358979323846;

/// sin(2 pi t); absolute error below 1e-9. Taylor to the 13th degree on a quarter turn.
inline double sin_turns(double t) {
  t -= std::floor(t + 0.5);   // [-1/2, 1/2)
  if (t > 0.25) t = 0.5 - t;  // sin(pi - a) = sin(a)
  if (t < -0.25) t = -0.5 - t;
  const double a = 2 * kPi * t, a2 = a * a;
  return a * (1 + a2 * (-1.0 / 6 +
                        a2 * (1.0 / 120 + a2 * (-1.0 / 5040 +
                                                a2 * (1.0 / 362880 + a2 * (-1.0 / 39916800 +
                                                                           a2 / 6227020800.0))))));
}
inline double cos_turns(double t) {
  return sin_turns(t + 0.25);
}

/// Natural logarithm for x in (0, 1], absolute error below 1e-9: x = m 2^e with m in [1/sqrt 2,
/// sqrt 2), log m = 2 atanh((m - 1) / (m + 1)).
inline double log_unit(double x) {
  int e = 0;
  double m = std::frexp(x, &e);  // exact
  if (m < 0.70710678118654752) {
    m *= 2;
    --e;
  }
  const double s = (m - 1) / (m + 1), s2 = s * s;
  const double series =
      1 +
      s2 * (1.0 / 3 + s2 * (1.0 / 5 + s2 * (1.0 / 7 + s2 * (1.0 / 9 + s2 * (1.0 / 11 + s2 / 13)))));
  return 2 * s * series + e * 0.6931471805599453;
}

}  // namespace assay
