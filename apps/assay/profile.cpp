// assay profile MODEL
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>

#include "apps/assay/cli.h"
#include "kernels/conv2d/algorithm.h"
#include "kernels/runtime/peaks.h"
#include "kernels/runtime/transfer.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "tensor/tape.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

struct ProfileArguments {
  std::string model, preset, device = "cpu", precision = "fp32", algorithm = "automatic";
  int batch = 32, image_size = 0, steps = 10, threads = 0;
};

/// One operation of a training step; `seconds` is the minimum over the steps.
struct OpTime {
  std::string_view op;
  Shape output;
  bool backward;
  double seconds;
  int64_t flops = 0, bytes = 0;  ///< 0: not counted
  std::string algorithm = {};    ///< that ran, for a convolution; may differ from the requested one
};

/// Measures the time between the ends of two operations. On a GPU it waits for each operation, so
/// the times include launches and waiting, which queues and graphs would hide.
class StepTimer {
 public:
  StepTimer() : last_(Clock::now()) {
    set_op_observer([this](std::string_view op, const Tensor& output, bool backward) {
      mark(op, output.shape(), backward);
    });
  }
  ~StepTimer() { set_op_observer({}); }
  StepTimer(const StepTimer&) = delete;
  StepTimer& operator=(const StepTimer&) = delete;

  void start_step() {
    at_ = 0;
    last_ = Clock::now();
  }
  void mark(std::string_view op, const Shape& output, bool backward) {
    synchronize(current_context());
    const double seconds = std::chrono::duration<double>(Clock::now() - last_).count();
    if (at_ == ops_.size()) ops_.push_back({op, output, backward, seconds});
    ops_[at_].seconds = std::min(ops_[at_].seconds, seconds);
    ++at_;
    last_ = Clock::now();
  }
  std::vector<OpTime>& ops() { return ops_; }

 private:
  std::vector<OpTime> ops_;
  size_t at_ = 0;
  Clock::time_point last_;
};

bool is_layer(std::string_view op) {
  return op == "conv2d" || op == "conv_transpose2d" || op == "linear" || op == "batch_norm";
}

/// The work of a backward pass over that of the forward pass. Each gradient of a convolution or
/// dense layer costs one forward pass. Batch norm reads x and dy and writes dx: three tensors, not
/// two.
struct Passes {
  double flops, bytes;
};
Passes backward_of(std::string_view op, const StepLayer& layer) {
  if (op == "batch_norm") return {2, 1.5};
  const double gradients = (layer.weight_gradient ? 1 : 0) + (layer.input_gradient ? 1 : 0);
  return {gradients, gradients};
}

std::string algorithm_of(const LayerRow& row, ConvPass pass) {
  const Conv2dChoice choice =
      conv2d_algorithm(current_context(), pass, row.conv->shape, row.conv->epilogue);
  return choice.gemm != nullptr ? "gemm" : choice.name();
}
/// The algorithm of a layer's forward pass, or those of its gradients: input, then weights.
std::string algorithms_of(const StepLayer& layer, bool backward) {
  const LayerRow& row = layer.row;
  if (!row.conv) return "";
  const bool transposed = row.conv->transposed;
  if (!backward) return algorithm_of(row, transposed ? ConvPass::dgrad : ConvPass::fprop);
  std::vector<std::string> names;
  if (layer.input_gradient)
    names.push_back(algorithm_of(row, transposed ? ConvPass::fprop : ConvPass::dgrad));
  if (layer.weight_gradient) names.push_back(algorithm_of(row, ConvPass::wgrad));
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Forward operations with weights have the order of `layers`. A backward operation belongs to the
/// latest forward operation of its kind and output shape that has none yet.
void count_work(std::vector<OpTime>& ops, const std::vector<StepLayer>& layers) {
  struct Forward {
    const OpTime* op;
    const StepLayer* layer;
  };
  std::vector<Forward> open;
  size_t next = 0;
  for (OpTime& op : ops) {
    if (!is_layer(op.op)) continue;
    if (!op.backward) {
      if (next == layers.size()) continue;
      const StepLayer& layer = layers[next++];
      op.flops = layer.row.flops;
      op.bytes = layer.row.min_bytes;
      op.algorithm = algorithms_of(layer, false);
      open.push_back({&op, &layer});
      continue;
    }
    const auto undone = std::find_if(open.rbegin(), open.rend(), [&](const Forward& forward) {
      return forward.op->op == op.op && forward.op->output == op.output;
    });
    if (undone == open.rend()) continue;
    const StepLayer& layer = *undone->layer;
    const Passes passes = backward_of(op.op, layer);
    op.flops = static_cast<int64_t>(passes.flops * static_cast<double>(layer.row.flops));
    op.bytes = static_cast<int64_t>(passes.bytes * static_cast<double>(layer.row.min_bytes));
    op.algorithm = algorithms_of(layer, true);
    open.erase(std::next(undone).base());
  }
}

/// Text of a table cell; empty unless the value is positive.
std::string cell(double value, const char* unit = "") {
  return value > 0 ? fmt::format("{:.1f}{}", value, unit) : "";
}

/// The minimum time by the roofline model divided by the measured time. The minimum is the larger
/// of the times for multiply-adds and for memory at the machine's peaks. Williams, Waterman,
/// Patterson, 2009, CACM 52(4).
double roofline_share(const OpTime& op, const Peaks& peaks) {
  const double min = std::max(static_cast<double>(op.flops) / peaks.fma_flops,
                              static_cast<double>(op.bytes) / peaks.copy_bytes);
  return min / op.seconds;
}

/// Prints the operations; without `peaks` the roofline column stays empty.
void print_table(const std::vector<OpTime>& ops, const std::optional<Peaks>& peaks) {
  constexpr double kGiga = 1e-9;
  double total = 0, min = 0, counted = 0;
  for (const OpTime& op : ops) total += op.seconds;
  std::printf("%-30s %-22s %10s %7s %10s %8s %9s  %s\n", "op", "output", "ms", "share", "GFLOP/s",
              "GB/s", "roofline", "algorithm");
  for (const OpTime& op : ops) {
    const std::string name = std::string(op.op) + (op.backward ? " backward" : "");
    const double share = peaks ? roofline_share(op, *peaks) : 0;
    std::printf("%-30s %-22s %10.3f %6.1f%% %10s %8s %9s  %s\n", name.c_str(),
                op.output.empty() ? "" : to_string(op.output).c_str(), op.seconds * 1e3,
                100 * op.seconds / total,
                cell(static_cast<double>(op.flops) / op.seconds * kGiga).c_str(),
                cell(static_cast<double>(op.bytes) / op.seconds * kGiga).c_str(),
                cell(100 * share, " %").c_str(), op.algorithm.c_str());
    min += share * op.seconds;
    if (op.flops > 0) counted += op.seconds;
  }
  std::printf("%-30s %-22s %10.3f\n", "training step", "", total * 1e3);
  std::printf("\nLayers with weights take %.1f %% of the step", 100 * counted / total);
  if (peaks) std::printf(" and reach %.1f %% of their roofline", 100 * min / counted);
  std::printf(".\n");
}

/// Measures and prints the peaks of the CPU; those of a GPU need the kernels of
/// bench/gpu/peaks.cpp.
std::optional<Peaks> print_peaks() {
  std::printf("GFLOP/s count the operations of the formula, GB/s the minimum number of bytes");
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

std::string where() {
  const Context& ctx = current_context();
  return ctx.device.type == DeviceType::cpu ? fmt::format("{} threads", ctx.threads->threads())
                                            : device_name(ctx.device);
}

/// A batch of constants: values do not change the time of a step.
Batch uniform_batch(const RunConfig& config) {
  const int64_t n = config.batch, side = config.image_size;
  const Tensor x = Tensor::full({n, side, side, config.channels()}, 0.5);
  return {
      .images = std::vector<size_t>(n), .x = x, .clean = x, .labels = Tensor::full({n, 1}, 0.5)};
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
  current_context().conv =
      conv2d_algorithm_from_name(current_context().device, arguments.algorithm);
  ASSAY_CHECK_AS(UsageError, find_model(config.model).make_step,
                 "{}: learns in one pass and has no training step to profile", config.model);
  const std::unique_ptr<Network> network = make_network(config);
  init_parameters(*network, init_from_name(config.init), config.seed);
  const std::unique_ptr<TrainingStep> step = find_model(config.model).make_step(*network, config);
  const std::vector<Batch> batches(static_cast<size_t>(step->batches_per_step()),
                                   uniform_batch(config));
  const std::vector<Tensor> inputs = step->inputs(batches);

  StepTimer timer;
  const StepCallbacks callbacks{.on_loss = [](const LossTerm&) {},
                                .update =
                                    [&](Optimizer& optimizer) {
                                      optimizer.step();
                                      timer.mark("optimizer", {}, false);
                                    }};
  constexpr int kWarmUp = 2;
  for (int i = 0; i < kWarmUp + arguments.steps; ++i) {
    if (i == kWarmUp) timer.ops().clear();
    timer.start_step();
    step->run(inputs, callbacks);
  }
  count_work(timer.ops(), step->layers(inputs));
  std::printf("%s, %d pixels, batch %d, %s, minimum of %d steps.\n", config.preset.c_str(),
              config.image_size, config.batch, where().c_str(), arguments.steps);
  const std::optional<Peaks> peaks = print_peaks();
  print_table(timer.ops(), peaks);
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
                   "fp32 | fp32-strict; on cuda also tf32x3 | tf32 | bf16")
      ->capture_default_str();
  verb->add_option(
          "--algorithm", arguments->algorithm,
          "algorithm of the convolutions; on the cpu naive | blocked | fused | winograd. If "
          "it does not cover a layer the next one runs; the last column shows which")
      ->capture_default_str();
  add_threads_option(*verb, arguments->threads);
  verb->callback([=, &run] { run = [=] { return profile_verb(*arguments); }; });
}

}  // namespace assay
