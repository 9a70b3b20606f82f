// Runs a test under every schedule of the emulator.
#pragma once

#include <fmt/core.h>

#include <string>

#include "kernels/emulator/api.h"
#include "kernels/emulator/config.h"

namespace assay::testing {

/// Restores the emulator's configuration at the end of a scope.
class KeepConfig {
 public:
  KeepConfig() : saved_(emulator::config()) {}
  ~KeepConfig() {
    cudaDeviceReset();
    emulator::config() = saved_;
  }
  KeepConfig(const KeepConfig&) = delete;
  KeepConfig& operator=(const KeepConfig&) = delete;

 private:
  emulator::Config saved_;
};

inline constexpr int kSchedules = 9;

/// Calls f(description) under 3 orders of threads x 3 async policies, with different seeds.
template <class F>
void for_each_schedule(const F& f) {
  const KeepConfig keep;
  uint64_t seed = 1;
  for (const std::string order : {"sequential", "reverse", "random"})
    for (const std::string async : {"early", "late", "random"}) {
      const std::string list = fmt::format("order={},async={},seed={}", order, async, seed++);
      cudaDeviceReset();
      emulator::apply(emulator::config(), list);
      f(list);
    }
}

}  // namespace assay::testing
