// Tests of layers above the kernels on every device: the body runs in a context of the CPU and, if
// the build has CUDA, in one of the CUDA device.
#pragma once

#include "tests/support/kernel_test.h"

namespace assay::test {

/// Runs f() in the current context, which is of the CPU, and on the CUDA device as
/// for_each_cuda_run does. Tensors that f makes must not outlive it.
template <class F>
void on_every_device(const F& f) {
  if (tested("cpu")) f();
  for_each_cuda_run([&](Context& ctx) {
    const ContextScope scope(ctx);
    f();
  });
}

}  // namespace assay::test

/// DEVICE_TEST_CASE("name") { ... } in a file of CUDA_FILES (tests/CMakeLists.txt).
#define DEVICE_TEST_CASE(name) ASSAY_DEVICE_TEST_CASE(DOCTEST_ANONYMOUS(on_every_device_), name)
#define ASSAY_DEVICE_TEST_CASE(body, name) \
  static void body();                      \
  TEST_CASE(name) {                        \
    assay::test::on_every_device(body);    \
  }                                        \
  static void body()
