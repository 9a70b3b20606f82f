// How many processors the system lets this process use, besides its affinity.
#pragma once

#include <filesystem>

namespace assay {

/// The quota of the control groups of this process (cgroup v2's cpu.max, v1's cpu.cfs_quota_us; the
/// lowest of the group and all above it) in processors, rounded up. 0: no limit, or none that can
/// be read. `root` is where /proc and /sys are.
int cgroup_cpus(const std::filesystem::path& root = "/");

/// Slurm's --cpus-per-task (SLURM_CPUS_PER_TASK). 0: not set, or no number.
int slurm_cpus();

}  // namespace assay
