// The number of launches of a training step, in bench/gpu/launches.h, is that of the code.
#include "bench/gpu/launches.h"

#include <fmt/core.h>

#include "tests/support/kernel_test.h"

namespace assay::bench {
namespace {

TEST_CASE("a recorded training step launches as many kernels as stated") {
  if (!test::cuda_tested()) return;
  CudaContext context;
  for (const LaunchCount& stated : kLaunchCounts) {
    CAPTURE(std::string(stated.preset));
    const StepLaunches found = count_step_launches(context, stated.preset, 32);
    std::string list;
    for (const auto& [kernel, count] : found.kernels)
      list += fmt::format("\n{:4} {}", count, kernel);
    CAPTURE(list);
    CHECK(found.count() == stated.launches);
    CHECK(found.nodes >= static_cast<size_t>(found.count()));
    for (const auto& [kernel, count] : found.kernels) CHECK(kernel.find('?') == std::string::npos);
  }
}

}  // namespace
}  // namespace assay::bench
