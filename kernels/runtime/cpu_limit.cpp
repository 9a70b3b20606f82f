#include "kernels/runtime/cpu_limit.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace assay {
namespace {
namespace fs = std::filesystem;

/// Quota over period, both in microseconds. "max" and v1's -1 are no limit.
std::optional<double> quota_of(const fs::path& group) {
  std::ifstream v2(group / "cpu.max");
  if (double quota = 0, period = 0; v2 >> quota >> period && quota > 0 && period > 0)
    return quota / period;
  std::ifstream v1_quota(group / "cpu.cfs_quota_us"), v1_period(group / "cpu.cfs_period_us");
  if (double quota = 0, period = 0;
      v1_quota >> quota && v1_period >> period && quota > 0 && period > 0)
    return quota / period;
  return std::nullopt;
}

/// Whether a line of /proc/self/cgroup (number:controllers:path) speaks of processors: v2 names no
/// controllers.
bool limits_cpus(const std::string& controllers) {
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');)
    if (name == "cpu") return true;
  return controllers.empty();
}

}  // namespace

int cgroup_cpus(const fs::path& root) {
  std::optional<double> lowest;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    std::istringstream fields(line);
    std::string number, controllers, path;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (path.empty() || path.front() != '/' || !limits_cpus(controllers)) continue;
    const fs::path mount =
        root / "sys/fs/cgroup" / (controllers.empty() ? std::string() : controllers);
    // In a container the path may be the host's, and the mount the container's own group.
    for (fs::path group = path.substr(1);; group = group.parent_path()) {
      if (const std::optional<double> quota = quota_of(mount / group))
        lowest = std::min(lowest.value_or(*quota), *quota);
      if (group.empty()) break;
    }
  }
  return lowest ? static_cast<int>(std::min(std::ceil(*lowest), 1e6)) : 0;
}

int slurm_cpus() {
  const char* text = std::getenv("SLURM_CPUS_PER_TASK");
  return text == nullptr ? 0 : std::clamp(std::atoi(text), 0, 1'000'000);
}

}  // namespace assay
