// From random bits to numbers, once for the reference, the CPU and CUDA.
//
// Data and initial weights must not depend on the machine. So the transcendental functions are our
// own, from IEEE additions, multiplications, divisions and roots in double, none of them contracted
// (CMakeLists.txt); a float is the double rounded.
#pragma once

#include "kernels/runtime/formula.h"
#include "kernels/runtime/philox.h"

namespace assay {

/// 24 random bits as a number in [0, 1).
ASSAY_FORMULA double unit_interval(uint32_t bits) {
  return static_cast<double>(bits >> 8) * 0x1p-24;
}

/// ln(k / 2^24), 1 <= k <= 2^24: k = m 2^e with m in [sqrt(1/2), sqrt(2)), and with
/// s = (m - 1) / (m + 1), |s| < 0.172: ln m = 2 (s + s^3/3 + s^5/5 + ...), cut off below 1e-16.
ASSAY_FORMULA double log_of_24_bits(uint32_t k) {
  int e = 0;
  for (int step = 16; step > 0; step /= 2)
    if (k >> (e + step) != 0) e += step;
  double m = static_cast<double>(k) / static_cast<double>(uint32_t{1} << e);  // in [1, 2)
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++e;
  }
  const double s = (m - 1) / (m + 1), s2 = s * s;
  double series = 0;
  for (int odd = 19; odd >= 1; odd -= 2) series = series * s2 + 1.0 / odd;
  return static_cast<double>(e - 24) * 0.69314718055994531 + 2 * s * series;
}

/// sin and cos of 2 pi k / 2^24. The eighth of the circle is exact arithmetic on k; inside it
/// Taylor's series of an angle of at most pi/4, cut off below 1e-16.
struct SineCosine {
  double sine, cosine;
};
ASSAY_FORMULA SineCosine sine_cosine_of_turn(uint32_t k) {
  constexpr uint32_t kQuarter = uint32_t{1} << 22;
  const uint32_t quarter = (k + kQuarter / 2) / kQuarter;  // nearest multiple of a quarter, 0 .. 4
  const double a = (static_cast<double>(k) - static_cast<double>(quarter) * kQuarter) *
                   (6.2831853071795865 * 0x1p-24);  // in [-pi/4, pi/4]
  const double a2 = a * a;
  double s = 1, c = 1;
  for (int i = 16; i >= 2; i -= 2) {
    s = 1 - s * (a2 * (1.0 / (i * (i + 1))));
    c = 1 - c * (a2 * (1.0 / (i * (i - 1))));
  }
  s *= a;
  switch (quarter % 4) {
    case 0:
      return {s, c};
    case 1:
      return {c, -s};
    case 2:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

/// Two independent standard normals from two words of random bits. Box and Muller, 1958:
/// sqrt(-2 ln u) (cos, sin)(2 pi v) with u in (0, 1], v in [0, 1).
struct NormalPair {
  double v[2];
};
ASSAY_FORMULA NormalPair normal_pair(uint32_t bits_u, uint32_t bits_v) {
  const double radius = square_root(-2 * log_of_24_bits((bits_u >> 8) + 1));
  const SineCosine turn = sine_cosine_of_turn(bits_v >> 8);
  return {{radius * turn.cosine, radius * turn.sine}};
}

/// Elements 4 * block .. 4 * block + 3 of a tensor of uniforms in [low, high). If rounding to T
/// gives `high` itself, the largest T below it replaces it.
template <class T>
ASSAY_HD inline void uniform_block(uint64_t seed, uint64_t stream, int64_t block, T low, T high,
                                   T out[4]) {
  const Philox4 bits = philox(seed, stream, static_cast<uint64_t>(block));
  for (int i = 0; i < 4; ++i) {
    const double u = unit_interval(bits.v[i]);
    const T value = static_cast<T>(low + (static_cast<double>(high) - low) * u);
    out[i] = value < high || low >= high ? value : nextafter(high, low);
  }
}

template <class T>
ASSAY_HD inline void normal_block(uint64_t seed, uint64_t stream, int64_t block, T mean,
                                  T deviation, T out[4]) {
  const Philox4 bits = philox(seed, stream, static_cast<uint64_t>(block));
  for (int pair = 0; pair < 2; ++pair) {
    const NormalPair normal = normal_pair(bits.v[2 * pair], bits.v[2 * pair + 1]);
    for (int i = 0; i < 2; ++i)
      out[2 * pair + i] = static_cast<T>(mean + static_cast<double>(deviation) * normal.v[i]);
  }
}

}  // namespace assay
