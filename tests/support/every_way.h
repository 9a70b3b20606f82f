// Runs of a kernel that must agree: on each instruction set (checked against the reference) with 1,
// 2 and 3 threads (the same bits), and twice on the CUDA device (the same bits).
#pragma once

#include "tests/support/kernel_test.h"

namespace assay::test {

/// run(ctx) returns a vector of outputs; check(outputs) compares them with the reference.
template <class Run, class Check>
void every_way_on_cpu(const Run& run, const Check& check) {
  for_each_isa([&] {
    CpuContext one(1);
    const auto first = run(one.get());
    check(first);
    for (const int threads : {2, 3}) {
      CpuContext more(threads);
      CAPTURE(threads);
      CHECK(run(more.get()) == first);
    }
  });
}
template <class Run, class Check>
void every_way_on_cuda(const Run& run, const Check& check) {
  bool again = false;
  decltype(run(current_context())) first;
  for_each_cuda_run([&](Context& ctx) {
    const auto outputs = run(ctx);
    if (again)
      CHECK(outputs == first);
    else
      check(first = outputs);
    again = true;
  });
}
template <class Run, class Check>
void every_way(const Run& run, const Check& check) {
  every_way_on_cpu(run, check);
  every_way_on_cuda(run, check);
}

/// The outputs are within factor * eps * scale of the reference, element by element.
inline auto near(const std::vector<double>& want, const std::vector<double>& scale, double factor) {
  return [&want, &scale, factor](const std::vector<float>& got) {
    REQUIRE(got.size() == want.size());
    CHECK(excess(got, want, scale, factor) <= 0);
  };
}

}  // namespace assay::test
