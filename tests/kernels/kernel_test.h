// What the kernel tests share: random inputs, poisoned outputs, the instruction sets of the
// machine.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/runtime/context.h"
#include "kernels/runtime/isa.h"
#include "kernels/runtime/philox.h"

namespace assay::test {

/// Uniform in [-1, 1); another seed in each call of a process.
inline std::vector<float> random_floats(int64_t n) {
  static uint64_t calls = 0;
  RandomSequence random(20260101 + ++calls, RandomStream::init);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& f : v) f = random.uniform(-1, 1);
  return v;
}
inline std::vector<double> widen(const std::vector<float>& v) {
  return {v.begin(), v.end()};
}
template <class T>
std::vector<T> absolute(std::vector<T> v) {
  for (T& x : v) x = std::abs(x);
  return v;
}
inline std::vector<float> poisoned(int64_t n) {
  return std::vector<float>(static_cast<size_t>(n), std::numeric_limits<float>::quiet_NaN());
}

/// Runs f() once per instruction set of this machine.
template <class F>
void for_each_isa(const F& f) {
  const Isa before = active_isa();
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (!isa_available(isa)) continue;
    set_active_isa(isa);
    CAPTURE(name_of(isa));
    f();
  }
  set_active_isa(before);
}

/// The largest error beyond its bound: max |got - want| - factor * eps * scale, over all elements;
/// NaN counts as infinite.
inline double excess(const std::vector<float>& got, const std::vector<double>& want,
                     const std::vector<double>& scale, double factor) {
  double worst = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < got.size(); ++i) {
    const double bound = factor * std::numeric_limits<float>::epsilon() * scale[i] +
                         std::numeric_limits<float>::min();
    const double error = std::abs(static_cast<double>(got[i]) - want[i]) - bound;
    if (!(error <= worst)) worst = std::isnan(error) ? INFINITY : error;
  }
  return worst;
}

}  // namespace assay::test
