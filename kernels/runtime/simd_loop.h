// The loop over an array, register by register.
#pragma once

#include "kernels/runtime/simd_bf16.h"
#include "kernels/runtime/simd_math.h"

namespace assay::cpu::ASSAY_ISA {

/// Position of a step of the loop in the arrays: a whole register, or the last `count` elements.
struct WholeRegister {
  int64_t i;
  template <class T>
  ASSAY_INLINE vf get(const T* p) const {
    return load(p + i);
  }
  template <class T>
  ASSAY_INLINE void put(T* p, vf v) const {
    store(p + i, v);
  }
  ASSAY_INLINE vf zero_rest(vf v) const { return v; }
};
struct PartRegister {
  int64_t i;
  int count;
  template <class T>
  ASSAY_INLINE vf get(const T* p) const {
    return load_first(p + i, count);
  }
  template <class T>
  ASSAY_INLINE void put(T* p, vf v) const {
    store_first(p + i, v, count);
  }
  /// 0 in the lanes beyond the end, for sums.
  ASSAY_INLINE vf zero_rest(vf v) const {
    vf kept{};
    for (int k = 0; k < count; ++k) kept[k] = v[k];
    return kept;
  }
};

/// Calls f(at) for the n elements of some arrays; f reads floats or bf16 with
/// at.get(p) and writes them with at.put(p, v).
template <class F>
ASSAY_INLINE void for_each_register(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(WholeRegister{i});
  if (i < n) f(PartRegister{i, static_cast<int>(n - i)});
}

/// The loop over arrays of doubles: whole registers, then single elements.
struct WholeDoubleRegister {
  int64_t i;
  ASSAY_INLINE vd get(const double* p) const { return load(p + i); }
  ASSAY_INLINE vd get(const float* p) const { return load_as_double(p + i); }
  ASSAY_INLINE void put(double* p, vd v) const { store(p + i, v); }
  ASSAY_INLINE void put(float* p, vd v) const { store_as_float(p + i, v); }
};
struct OneDouble {
  int64_t i;
  ASSAY_INLINE double get(const double* p) const { return p[i]; }
  ASSAY_INLINE double get(const float* p) const { return static_cast<double>(p[i]); }
  ASSAY_INLINE void put(double* p, double v) const { p[i] = v; }
  ASSAY_INLINE void put(float* p, double v) const { p[i] = static_cast<float>(v); }
};
template <class F>
ASSAY_INLINE void for_each_double_register(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kDoubleLanes <= n; i += kDoubleLanes) f(WholeDoubleRegister{i});
  for (; i < n; ++i) f(OneDouble{i});
}

}  // namespace assay::cpu::ASSAY_ISA
