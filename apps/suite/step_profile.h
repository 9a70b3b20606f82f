// The time of each operation of a training step, and the peaks of the machine that it ran on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "kernels/runtime/peaks.h"
#include "models/run/config.h"
#include "tensor/tensor.h"

namespace assay {

/// One operation of a training step; `seconds` is the minimum over the steps.
struct OpTime {
  std::string op;
  Shape output;
  bool backward;
  double seconds;
  int64_t flops = 0, bytes = 0;  ///< of the formula, and the minimum to move; 0: not counted
  std::string algorithm = {};    ///< that ran, for a convolution; may differ from the requested one

  /// The minimum time by the roofline model divided by the measured time. The minimum is the larger
  /// of the times for multiply-adds and for memory at the machine's peaks. Williams, Waterman,
  /// Patterson, 2009, CACM 52(4).
  double roofline_share(const Peaks& peaks) const;
};

struct StepProfile {
  std::string model, preset;
  int image_size = 0, batch = 0, steps = 0;
  std::string device;  ///< "2 threads", or the name of a GPU
  std::vector<OpTime> ops;

  double seconds() const;          ///< of a step
  double share_of_layers() const;  ///< of the step's time: operations whose work is counted
  double roofline_share(const Peaks& peaks) const;  ///< of these operations together
};

/// Times `steps` training steps of a model in the current context, after two that are not timed.
/// UsageError for a model without a training step.
StepProfile profile_step(const RunConfig& config, int steps);

/// profile.json: the machine that a suite ran on, and what its models' steps took there.
struct MachineProfile {
  std::string machine;  ///< "AMD EPYC, avx512, 2 threads"
  std::optional<Peaks> peaks;
  std::vector<StepProfile> steps;
};
/// "AMD EPYC, avx512, 2 threads" of the current context.
std::string machine_text();
void write_profile(const std::filesystem::path& file, const MachineProfile& profile);
/// Empty where there is no such file, or it is no such profile.
std::optional<MachineProfile> read_profile(const std::filesystem::path& file);

}  // namespace assay
