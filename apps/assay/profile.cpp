// assay profile MODEL
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <optional>

#include "apps/assay/cli.h"
#include "apps/suite/step_profile.h"
#include "kernels/conv2d/algorithm.h"
#include "kernels/runtime/peaks.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"

namespace assay {
namespace {

struct ProfileArguments {
  std::string model, preset, device = "cpu", precision = "fp32", algorithm = "automatic", json;
  int batch = 32, image_size = 0, steps = 10, threads = 0;
};

/// Text of a table cell; empty unless the value is positive.
std::string cell(double value, const char* unit = "") {
  return value > 0 ? fmt::format("{:.1f}{}", value, unit) : "";
}

/// Prints the operations; without `peaks` the roofline column stays empty.
void print_table(const StepProfile& step, const std::optional<Peaks>& peaks) {
  constexpr double kGiga = 1e-9;
  const double total = step.seconds();
  std::printf("%-30s %-22s %10s %7s %10s %8s %9s  %s\n", "op", "output", "ms", "share", "GFLOP/s",
              "GB/s", "roofline", "algorithm");
  for (const OpTime& op : step.ops) {
    const std::string name = op.op + (op.backward ? " backward" : "");
    const double share = peaks ? op.roofline_share(*peaks) : 0;
    std::printf("%-30s %-22s %10.3f %6.1f%% %10s %8s %9s  %s\n", name.c_str(),
                op.output.empty() ? "" : to_string(op.output).c_str(), op.seconds * 1e3,
                100 * op.seconds / total,
                cell(static_cast<double>(op.flops) / op.seconds * kGiga).c_str(),
                cell(static_cast<double>(op.bytes) / op.seconds * kGiga).c_str(),
                cell(100 * share, " %").c_str(), op.algorithm.c_str());
  }
  std::printf("%-30s %-22s %10.3f\n", "training step", "", total * 1e3);
  std::printf("\nLayers with weights take %.1f %% of the step", 100 * step.share_of_layers());
  if (peaks) std::printf(" and reach %.1f %% of their roofline", 100 * step.roofline_share(*peaks));
  std::printf(".\n");
}

/// Measures and prints the peaks of the CPU; those of a GPU need the kernels of
/// bench/gpu/peaks.cpp.
std::optional<Peaks> print_peaks() {
  std::printf(
      "GFLOP/s count the operations of the formula, GB/s the minimum number of bytes in fp32");
  if (current_context().device.type != DeviceType::cpu) {
    std::printf("; the peaks of this device: bench/gpu/gpu_peaks.\n\n");
    return {};
  }
  const Peaks peaks = measure_peaks(current_context());
  std::printf(
      ";\nroofline: the share of what the peaks measured now allow, %.0f GFLOP/s of multiply-adds "
      "and\n%.1f GB/s of copying (more than 100 %% if data stays in a cache).\n\n",
      peaks.fma_flops * 1e-9, peaks.copy_bytes * 1e-9);
  return peaks;
}

int profile_verb(const ProfileArguments& arguments) {
  RunConfig config = default_config(arguments.model, arguments.preset);
  config.batch = arguments.batch;
  config.device = arguments.device;
  config.precision = arguments.precision;
  if (arguments.image_size != 0) config.image_size = arguments.image_size;
  check(config);
  ASSAY_CHECK_AS(UsageError, arguments.steps >= 1, "--repeat: {} is less than 1", arguments.steps);
  const RunContext context(arguments.threads, config.device, config.precision);
  current_context().algorithm =
      conv2d_algorithm_from_name(current_context().device, arguments.algorithm);
  const StepProfile step = profile_step(config, arguments.steps);
  std::printf("%s, %d pixels, batch %d, %s, minimum of %d steps.\n", step.preset.c_str(),
              step.image_size, step.batch, step.device.c_str(), step.steps);
  const std::optional<Peaks> peaks = print_peaks();
  print_table(step, peaks);
  if (!arguments.json.empty()) write_profile(arguments.json, {machine_text(), peaks, {step}});
  return 0;
}

}  // namespace

void add_profile(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("profile", "time of each operation of a training step");
  auto arguments = std::make_shared<ProfileArguments>();
  verb->add_option("model", arguments->model, fmt::format("{}", fmt::join(model_names(), ", ")))
      ->required();
  add_preset_option(*verb, arguments->preset);
  verb->add_option("--batch", arguments->batch, "images per step")->capture_default_str();
  verb->add_option("--image-size", arguments->image_size, "pixels a side");
  verb->add_option("--repeat", arguments->steps, "steps that are timed")->capture_default_str();
  verb->add_option("--device", arguments->device, "cpu | cuda")->capture_default_str();
  verb->add_option("--precision", arguments->precision,
                   "fp32 | fp32-strict | bf16 (on a CPU with AMX); on cuda also tf32x3 | tf32")
      ->capture_default_str();
  verb->add_option("--algorithm", arguments->algorithm,
                   "algorithm of the convolutions; on the cpu naive | blocked | fused | winograd | "
                   "tiles. If "
                   "it does not cover a layer the next one runs; the last column shows which")
      ->capture_default_str();
  verb->add_option("--json", arguments->json, "also write the times to this file");
  add_threads_option(*verb, arguments->threads);
  verb->callback([=, &run] { run = [=] { return profile_verb(*arguments); }; });
}

}  // namespace assay
