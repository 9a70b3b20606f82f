// Launches of a recorded training step: counted without running it, so the emulator counts what a
// GPU would launch.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/runtime/cuda/cuda_context.h"

namespace assay::bench {

/// A preset's launches per training step in fp32, and the aim.
struct LaunchCount {
  const char* preset;
  int launches, aim;
};
/// What tests/bench/launches_test.cpp holds the steps to. A change that saves launches lowers it.
inline constexpr LaunchCount kLaunchCounts[] = {
    {"cnn", 24, 24}, {"kd-cae", 23, 26}, {"ni-cae", 45, 45}, {"dcgan", 113, 80}};

struct StepLaunches {
  size_t nodes;                                      ///< of the graph: kernels, copies and fills
  std::vector<std::pair<std::string, int>> kernels;  ///< by name, the most frequent first
  /// In order: the kernel and the blocks of its grid.
  std::vector<std::pair<std::string, int64_t>> grids;
  int count() const { return static_cast<int>(grids.size()); }
};

/// The launches of a preset's training step at its own image size.
StepLaunches count_step_launches(CudaContext& context, const std::string& preset, int batch);

}  // namespace assay::bench
