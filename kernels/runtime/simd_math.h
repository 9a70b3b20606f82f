// Transcendental functions of a register of floats, and registers of doubles, for *_simd.cpp files.
// Each is within 3 units in the last place of the float64 value on its whole range
// (tests/kernels/pointwise_test.cpp), and NaN stays NaN.
#pragma once

#include "kernels/runtime/simd.h"

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace assay::cpu::ASSAY_ISA {

/// exp(x) = 2^k exp(r) with |r| <= ln(2)/2; the polynomial is that of Cephes' expf (Moshier, 1989).
ASSAY_INLINE vf exp(vf x) {
  x = select(x > 89.0f, broadcast(89.0f), x);      // exp(89) is inf
  x = select(x < -104.0f, broadcast(-104.0f), x);  // exp(-104) is 0
  const vf magic = broadcast(12582912.0f);         // 1.5 * 2^23: adding it rounds to an integer
  const vf shifted = x * 1.44269504088896341f + magic;
  const vf k = shifted - magic;
  const vf r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
  vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // 2^k in two factors, for k = 128 and the subnormal results have no single one.
  const vi power = (vi)shifted - (vi)magic;
  const vi half = power >> 1;
  const vf scale_a = (vf)((half + 127) << 23), scale_b = (vf)((power - half + 127) << 23);
  return p * scale_a * scale_b;
}

/// log(1 + e) for 0 <= e <= 1, as 2 artanh(e / (2 + e)); the series is cut off below 2e-9.
ASSAY_INLINE vf log1p_of_unit(vf e) {
  const vf s = e / (e + 2.0f), s2 = s * s;
  vf p = s2 * (1.0f / 15) + 1.0f / 13;
  p = p * s2 + 1.0f / 11;
  p = p * s2 + 1.0f / 9;
  p = p * s2 + 1.0f / 7;
  p = p * s2 + 1.0f / 5;
  p = p * s2 + 1.0f / 3;
  return (s + s) * (p * s2 + 1.0f);
}

ASSAY_INLINE vf absolute(vf x) {
  return (vf)((vi)x & 0x7fffffff);
}

ASSAY_INLINE vf sigmoid(vf x) {
  return 1.0f / (exp(-x) + 1.0f);
}

/// Near 0 the polynomial of Cephes' tanhf, elsewhere 1 - 2 / (exp(2|x|) + 1) with the sign of x.
ASSAY_INLINE vf tanh(vf x) {
  const vf a = absolute(x), z = x * x;
  vf p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const vf near = p * z * x + x;
  const vf far = 1.0f - 2.0f / (exp(a + a) + 1.0f);
  const vi sign = (vi)x & static_cast<int32_t>(0x80000000);
  return select(a < 0.625f, near, (vf)((vi)far | sign));
}

/// One register of doubles: half as many lanes.
inline constexpr int kDoubleLanes = kLanes / 2;
typedef double vd __attribute__((vector_size(kDoubleLanes * 8)));
typedef double vd_unaligned __attribute__((vector_size(kDoubleLanes * 8), aligned(8), may_alias));
typedef float vf_half __attribute__((vector_size(kDoubleLanes * 4)));
typedef float vf_half_unaligned
    __attribute__((vector_size(kDoubleLanes * 4), aligned(4), may_alias));

ASSAY_INLINE vd load(const double* p) {
  return *reinterpret_cast<const vd_unaligned*>(p);
}
ASSAY_INLINE void store(double* p, vd v) {
  *reinterpret_cast<vd_unaligned*>(p) = v;
}
ASSAY_INLINE vd broadcast(double d) {
  return d - vd{};
}
/// kDoubleLanes floats, as doubles. GCC 12 compiles __builtin_convertvector to four instructions;
/// the machine has one.
ASSAY_INLINE vd load_as_double(const float* p) {
#if defined(__AVX512F__)
  return (vd)_mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p));  // masked because of GCC bug 105593
#elif defined(__AVX__)
  return (vd)_mm256_cvtps_pd(_mm_loadu_ps(p));
#else
  return __builtin_convertvector(*reinterpret_cast<const vf_half_unaligned*>(p), vd);
#endif
}
ASSAY_INLINE void store_as_float(float* p, vd v) {
  *reinterpret_cast<vf_half_unaligned*>(p) = __builtin_convertvector(v, vf_half);
}
/// The sum of all lanes, in a fixed tree order.
ASSAY_INLINE double sum(vd v) {
  double lane[kDoubleLanes];
  store(lane, v);
  for (int width = kDoubleLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  return lane[0];
}

}  // namespace assay::cpu::ASSAY_ISA
