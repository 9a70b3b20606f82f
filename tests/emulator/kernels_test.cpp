// The example kernels give correct results in every order and with every async policy, and in the
// check build without a report.
#include <doctest/doctest.h>

#include "tests/emulator/schedules.h"
#include "tests/emulator/workloads.h"

namespace assay::testing {

TEST_CASE("every example kernel agrees with its definition under every schedule") {
  for (const Workload& w : kWorkloads) {
    for_each_schedule([&](const std::string& schedule) {
      INFO(w.name, " ", schedule);
      CHECK_EQ(w.check(Bug::none), "");
    });
  }
}

}  // namespace assay::testing
