// A test of what is above the kernels, on every device: its body runs with a context of the CPU as
// the current one and, where the build has CUDA, with one of the device.
#pragma once

#include "tests/support/kernel_test.h"

namespace assay::test {

/// Runs f() on the CPU, in the context that is current, and on the CUDA device as for_each_cuda_run
/// does. What f makes must not outlive it.
template <class F>
void on_every_device(const F& f) {
  if (tested("cpu")) f();
  for_each_cuda_run([&](Context& ctx) {
    const ContextScope scope(ctx);
    f();
  });
}

}  // namespace assay::test

/// DEVICE_TEST_CASE("what is so") { ... } in a file of CUDA_FILES (tests/CMakeLists.txt).
#define DEVICE_TEST_CASE(name) ASSAY_DEVICE_TEST_CASE(DOCTEST_ANONYMOUS(on_every_device_), name)
#define ASSAY_DEVICE_TEST_CASE(body, name) \
  static void body();                      \
  TEST_CASE(name) {                        \
    assay::test::on_every_device(body);    \
  }                                        \
  static void body()
