// Which kernels a piece of host code launches. Plain C++.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assay::cuda {

/// A launch: the kernel's address on the host, and its grid.
struct KernelLaunch {
  const void* kernel;
  int64_t blocks;
  int threads;  ///< of a block
};

/// Lists every launch() of this thread while it lives; of several, the innermost does.
class LaunchLog {
 public:
  LaunchLog();
  ~LaunchLog();
  LaunchLog(const LaunchLog&) = delete;
  LaunchLog& operator=(const LaunchLog&) = delete;

  const std::vector<KernelLaunch>& launches() const { return launches_; }
  /// For launch().
  static void note(const KernelLaunch& launch);

 private:
  std::vector<KernelLaunch> launches_;
  LaunchLog* previous_;
};

/// The kernel's name without namespaces and parameters, "map_vectors<Add>"; "?" if unknown.
std::string kernel_name(const void* kernel);

}  // namespace assay::cuda
