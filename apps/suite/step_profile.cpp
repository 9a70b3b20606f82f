#include "apps/suite/step_profile.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "kernels/conv2d/algorithm.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/transfer.h"
#include "models/experiments/registry.h"
#include "models/run/folder.h"
#include "models/run/machine.h"
#include "models/run/reader.h"
#include "tensor/tape.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

/// Measures the time between the ends of two operations. On a GPU it waits for each operation, so
/// the times include launches and waiting, which queues and graphs would hide.
class StepTimer {
 public:
  void start_step() {
    at_ = 0;
    last_ = Clock::now();
  }
  void mark(std::string_view op, const Shape& output, bool backward) {
    synchronize(current_context());
    const double seconds = std::chrono::duration<double>(Clock::now() - last_).count();
    if (at_ == ops_.size()) ops_.push_back({std::string(op), output, backward, seconds});
    ops_[at_].seconds = std::min(ops_[at_].seconds, seconds);
    ++at_;
    last_ = Clock::now();
  }
  std::vector<OpTime>& ops() { return ops_; }

 private:
  std::vector<OpTime> ops_;
  size_t at_ = 0;
  Clock::time_point last_ = Clock::now();
  OpObserver observer_{[this](std::string_view op, const Tensor& output, bool backward) {
    mark(op, output.shape(), backward);
  }};
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
  const DType type = activation_type(current_context());
  const Conv2dChoice choice =
      conv2d_algorithm(current_context(), pass, row.conv->shape, row.conv->epilogue, type);
  const std::string name = choice.gemm != nullptr ? "gemm" : choice.name();
  return choice.converts(type) ? "fp32 " + name : name;
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

Json json_of(const OpTime& op) {
  return {{"op", op.op},
          {"output", op.output},
          {"backward", op.backward},
          {"seconds", op.seconds},
          {"flops", op.flops},
          {"bytes", op.bytes},
          {"algorithm", op.algorithm}};
}

OpTime op_of(const Json& json) {
  OpTime op{json.at("op"), json.at("output").get<Shape>(), json.at("backward"), json.at("seconds")};
  op.flops = json.at("flops");
  op.bytes = json.at("bytes");
  op.algorithm = json.at("algorithm");
  ASSAY_CHECK(std::isfinite(op.seconds) && op.seconds > 0 && op.flops >= 0 && op.bytes >= 0,
              "profile: an operation takes {:g} s", op.seconds);
  return op;
}

}  // namespace

double OpTime::roofline_share(const Peaks& peaks) const {
  const double min = std::max(static_cast<double>(flops) / peaks.fma_flops,
                              static_cast<double>(bytes) / peaks.copy_bytes);
  return min / seconds;
}

double StepProfile::seconds() const {
  double sum = 0;
  for (const OpTime& op : ops) sum += op.seconds;
  return sum;
}

double StepProfile::share_of_layers() const {
  double counted = 0;
  for (const OpTime& op : ops)
    if (op.flops > 0) counted += op.seconds;
  return counted / seconds();
}

double StepProfile::roofline_share(const Peaks& peaks) const {
  double min = 0;
  for (const OpTime& op : ops) min += op.roofline_share(peaks) * op.seconds;
  return min / (share_of_layers() * seconds());
}

StepProfile profile_step(const RunConfig& config, int steps) {
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
  for (int i = 0; i < kWarmUp + steps; ++i) {
    if (i == kWarmUp) timer.ops().clear();
    timer.start_step();
    step->run(inputs, callbacks);
  }
  count_work(timer.ops(), step->layers(inputs));
  return {.model = config.model,
          .preset = config.preset,
          .image_size = config.image_size,
          .batch = config.batch,
          .steps = steps,
          .device = where(),
          .ops = std::move(timer.ops())};
}

std::string machine_text() {
  const Json machine = machine_json();
  return fmt::format("{}, {}, {} threads", machine["cpu"].get<std::string>(),
                     machine["instruction_set"].get<std::string>(), machine["threads"].get<int>());
}

void write_profile(const std::filesystem::path& file, const MachineProfile& profile) {
  Json json = {{"machine", profile.machine}};
  if (profile.peaks)
    json["peaks"] = {{"fma_flops", profile.peaks->fma_flops},
                     {"copy_bytes", profile.peaks->copy_bytes}};
  json["steps"] = Json::array();
  for (const StepProfile& step : profile.steps) {
    Json ops = Json::array();
    for (const OpTime& op : step.ops) ops.push_back(json_of(op));
    json["steps"].push_back({{"model", step.model},
                             {"preset", step.preset},
                             {"side", step.image_size},
                             {"batch", step.batch},
                             {"steps", step.steps},
                             {"device", step.device},
                             {"ops", ops}});
  }
  write_file(file, json.dump(1) + "\n");
}

std::optional<MachineProfile> read_profile(const std::filesystem::path& file) {
  try {
    const Json json = read_run_json(file);
    MachineProfile profile{.machine = json.at("machine"), .peaks = {}, .steps = {}};
    if (json.contains("peaks")) {
      profile.peaks = Peaks{json["peaks"].at("fma_flops"), json["peaks"].at("copy_bytes")};
      ASSAY_CHECK(profile.peaks->fma_flops > 0 && profile.peaks->copy_bytes > 0,
                  "profile: a peak is not positive");
    }
    for (const Json& step : json.at("steps")) {
      StepProfile& read = profile.steps.emplace_back(StepProfile{.model = step.at("model"),
                                                                 .preset = step.at("preset"),
                                                                 .image_size = step.at("side"),
                                                                 .batch = step.at("batch"),
                                                                 .steps = step.at("steps"),
                                                                 .device = step.at("device"),
                                                                 .ops = {}});
      for (const Json& op : step.at("ops")) read.ops.push_back(op_of(op));
      ASSAY_CHECK(!read.ops.empty(), "profile: a step without operations");
    }
    return profile;
  } catch (const std::exception&) {  // another file, or a damaged one
    return {};
  }
}

}  // namespace assay
