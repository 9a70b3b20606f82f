// assay describe MODEL
#include <fmt/format.h>

#include <cstdio>

#include "apps/assay/cli.h"
#include "models/experiments/registry.h"
#include "models/networks/network.h"

namespace assay {
namespace {

struct DescribeArguments {
  std::string model, preset;
  int batch = 1, image_size = 0;
  bool grey = false;
};

int describe_verb(const DescribeArguments& arguments) {
  ASSAY_CHECK_AS(UsageError, arguments.batch >= 1, "--batch: {} is less than 1", arguments.batch);
  const std::string preset = arguments.preset.empty() ? arguments.model : arguments.preset;
  ASSAY_CHECK_AS(UsageError, find_preset(preset).model == arguments.model,
                 "--preset: '{}' is one of {}, not of {}", preset, find_preset(preset).model,
                 arguments.model);
  const auto network = make_network(preset, arguments.image_size, arguments.grey ? 1 : 0);
  std::printf("%s, batch of %d\n\n", preset.c_str(), arguments.batch);
  std::printf("%-14s %-34s %-22s %12s %10s %10s\n", "layer", "what", "output", "parameters",
              "MFLOP", "least MB");
  int64_t flops = 0, bytes = 0, activations = 0;
  for (const LayerRow& row : network->table(arguments.batch)) {
    std::printf("%-14s %-34s %-22s %12lld %10.2f %10.2f\n", row.name.c_str(), row.what.c_str(),
                to_string(row.output).c_str(), static_cast<long long>(row.parameters),
                static_cast<double>(row.flops) / 1e6, static_cast<double>(row.least_bytes) / 1e6);
    flops += row.flops;
    bytes += row.least_bytes;
    activations += numel(row.output);
  }
  const int64_t parameters = network->parameter_count();
  // Weights, gradients and two moments; each layer's output and its gradient.
  const double step_bytes = 4.0 * static_cast<double>(4 * parameters + 2 * activations);
  std::printf(
      "\n%lld parameters, %.3f GFLOP forward, about %.3f GFLOP a training step; forward moves "
      "at least %.1f MB; a training step holds about %.1f MB\n",
      static_cast<long long>(parameters), static_cast<double>(flops) / 1e9,
      3 * static_cast<double>(flops) / 1e9, static_cast<double>(bytes) / 1e6, step_bytes / 1e6);
  return 0;
}

}  // namespace

void add_describe(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("describe", "the layers of a model: shapes, FLOPs, bytes");
  auto arguments = std::make_shared<DescribeArguments>();
  verb->add_option("model", arguments->model, fmt::format("{}", fmt::join(model_names(), ", ")))
      ->required();
  add_preset_option(*verb, arguments->preset);
  verb->add_option("--batch", arguments->batch, "images")->capture_default_str();
  verb->add_option("--image-size", arguments->image_size, "pixels a side");
  verb->add_flag("--grey", arguments->grey, "one channel");
  verb->callback([=, &run] { run = [=] { return describe_verb(*arguments); }; });
}

}  // namespace assay
