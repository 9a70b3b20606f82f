// Shared by the kernel tests: random inputs, poisoned outputs in the memory of a device, the
// instruction sets of the machine, its CUDA device.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/runtime/context.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/isa.h"
#include "kernels/runtime/philox.h"
#include "kernels/runtime/transfer.h"
#include "tests/support/schedules.h"
#if ASSAY_HAVE_CUDA
#include "kernels/runtime/cuda/cuda_context.h"
#endif

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

/// Elements in the memory of a context's device: no more bytes than they need, so that the emulator
/// and the sanitizers see an access beyond the last. Passes for a pointer to them.
template <class T>
class Array {
 public:
  /// NaN, or 255 in bytes.
  Array(Context& ctx, int64_t n) : Array(ctx, std::vector<T>(static_cast<size_t>(n), poison())) {}
  Array(Context& ctx, const std::vector<T>& values) : ctx_(ctx), size_(values.size()) {
    data_ = static_cast<T*>(ctx.memory->source().take(bytes()));
    REQUIRE(data_ != nullptr);
    copy_bytes(ctx, data_, ctx.device, values.data(), Device::cpu(), size_ * sizeof(T));
  }
  ~Array() {
    try {
      synchronize(ctx_);
    } catch (const Error&) {
      // host() or the next launch reports it too.
    }
    ctx_.memory->source().give(data_, bytes());
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* get() const { return data_; }
  operator T*() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> values(size_);
    copy_bytes(ctx_, values.data(), Device::cpu(), data_, ctx_.device, size_ * sizeof(T));
    return values;
  }

 private:
  static T poison() {
    return std::numeric_limits<T>::has_quiet_NaN ? std::numeric_limits<T>::quiet_NaN()
                                                 : static_cast<T>(-1);
  }
  size_t bytes() const { return size_ == 0 ? 1 : size_ * sizeof(T); }

  Context& ctx_;
  size_t size_;
  T* data_ = nullptr;
};

/// ASSAY_TEST_ON=cpu or cuda in the environment: only there. ctest has an entry for each, so that
/// a missing device shows as a test that was skipped.
inline bool tested(std::string_view device) {
  const char* only = std::getenv("ASSAY_TEST_ON");
  return only == nullptr || device == only;
}

/// Runs f() once per instruction set of this machine. Under ThreadSanitizer, which makes the
/// reference ten times as slow, only for the active one: all sets share the code with threads.
template <class F>
void for_each_isa(const F& f) {
  if (!tested("cpu")) return;
  const Isa before = active_isa();
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (!isa_available(isa)) continue;
#ifdef __SANITIZE_THREAD__
    if (isa != before) continue;
#endif
    set_active_isa(isa);
    CAPTURE(std::string(name_of(isa)));
    f();
  }
  set_active_isa(before);
}

/// Whether CUDA kernels can be tested. If the build has them but the machine has no device, prints
/// SKIPPED, or fails if ASSAY_REQUIRE_CUDA=1.
inline bool cuda_tested() {
  if (!built_with_cuda() || !tested("cuda")) return false;
  if (cuda_available()) return true;
  const char* required = std::getenv("ASSAY_REQUIRE_CUDA");
  if (required != nullptr && required[0] == '1')
    FAIL("ASSAY_REQUIRE_CUDA=1, but no CUDA device can be used");
  MESSAGE("SKIPPED: no CUDA device");
  return false;
}

/// Whether the CUDA device runs the kernels for sm_90a.
inline bool sm90a_tested() {
#if ASSAY_HAVE_CUDA
  return cuda_tested() && cuda::runs_sm90a();
#else
  return false;
#endif
}

/// Runs f(ctx) twice on the CUDA device, if this build has one; on the emulated device under two
/// different schedules.
template <class F>
void for_each_cuda_run(const F& f) {
  if (!cuda_tested()) return;
  for_each_schedule([&](const std::string& schedule) {
    CAPTURE(schedule);
    const auto ctx = make_context(Device::cuda(), 1);
    f(ctx->get());
  });
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
