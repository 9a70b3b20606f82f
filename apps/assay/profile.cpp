// assay profile MODEL
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "apps/assay/cli.h"
#include "models/kd_cae_detector.h"
#include "optim/adam.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

struct ProfileArguments {
  std::string model;
  int batch = 32, steps = 10, threads = 0;
};

/// One operation of a training step; times are the least over the steps.
struct OpTime {
  std::string op;
  std::string output;
  double seconds;
  int64_t flops = 0, bytes = 0;  ///< 0: not counted
};

/// Times what happens between the ends of two operations.
class StepTimer {
 public:
  StepTimer() : last_(Clock::now()) {
    set_op_observer([this](std::string_view op, const Tensor& output, bool backward) {
      mark(std::string(op) + (backward ? " backward" : ""), to_string(output.shape()));
    });
  }
  ~StepTimer() { set_op_observer({}); }
  StepTimer(const StepTimer&) = delete;
  StepTimer& operator=(const StepTimer&) = delete;

  void start_step() {
    at_ = 0;
    last_ = Clock::now();
  }
  void mark(const std::string& op, const std::string& output) {
    const double seconds = std::chrono::duration<double>(Clock::now() - last_).count();
    if (at_ == ops_.size()) ops_.push_back({op, output, seconds});
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

/// The convolutions of a step stand in the order of the network's table, then in its reverse. A
/// backward pass is two convolutions, but the first layer's picture needs no gradient.
void count_work(std::vector<OpTime>& ops, const std::vector<LayerRow>& rows) {
  std::vector<LayerRow> layers;
  for (const LayerRow& row : rows)
    if (row.flops > 0) layers.push_back(row);
  size_t forward = 0, backward = layers.size();
  for (OpTime& op : ops) {
    if (op.op == "conv2d" && forward < layers.size()) {
      op.flops = layers[forward].flops;
      op.bytes = layers[forward++].least_bytes;
    } else if (op.op == "conv2d backward" && backward > 0) {
      const int passes = --backward == 0 ? 1 : 2;
      op.flops = passes * layers[backward].flops;
      op.bytes = passes * layers[backward].least_bytes;
    }
  }
}

void print_table(const std::vector<OpTime>& ops) {
  double total = 0;
  for (const OpTime& op : ops) total += op.seconds;
  std::printf("%-24s %-22s %10s %7s %10s %8s\n", "op", "output", "ms", "share", "GFLOP/s", "GB/s");
  const auto rate = [](int64_t amount, double seconds) {
    char text[32] = "";
    if (amount > 0)
      std::snprintf(text, sizeof text, "%.1f", static_cast<double>(amount) / seconds / 1e9);
    return std::string(text);
  };
  for (const OpTime& op : ops)
    std::printf("%-24s %-22s %10.3f %6.1f%% %10s %8s\n", op.op.c_str(), op.output.c_str(),
                op.seconds * 1e3, 100 * op.seconds / total, rate(op.flops, op.seconds).c_str(),
                rate(op.bytes, op.seconds).c_str());
  std::printf("%-24s %-22s %10.3f\n", "training step", "", total * 1e3);
}

int profile_verb(const ProfileArguments& arguments) {
  RunConfig config = default_config(arguments.model);
  config.batch = arguments.batch;
  check(config);
  ASSAY_CHECK_AS(UsageError, arguments.steps >= 1, "--repeat: ", arguments.steps,
                 " is less than 1");
  const RunContext context(arguments.threads, config.device, config.precision);
  const auto network = make_kd_cae(config);
  init_parameters(*network, init_from_name(config.init), config.seed);
  Adam adam(network->parameters(), {.learning_rate = config.lr});
  const Tensor x = Tensor::full(network->input_shape(config.batch), 0.5);

  StepTimer timer;
  constexpr int kWarmUp = 2;
  for (int i = 0; i < kWarmUp + arguments.steps; ++i) {
    if (i == kWarmUp) timer.ops().clear();
    timer.start_step();
    Tape tape;
    const Tensor loss = mse_loss((*network)(x), x);
    adam.zero_grad();
    tape.backward(loss);
    adam.step();
    timer.mark("adam", "");
  }
  count_work(timer.ops(), network->table(config.batch));
  std::printf(
      "%s, batch %d, %d threads, least of %d steps; GFLOP/s count the formula's operations, GB/s "
      "the least bytes\n\n",
      config.preset.c_str(), config.batch, current_context().threads->threads(), arguments.steps);
  print_table(timer.ops());
  return 0;
}

}  // namespace

void add_profile(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("profile", "time of each operation of a training step");
  auto arguments = std::make_shared<ProfileArguments>();
  verb->add_option("model", arguments->model, "kd-cae")->required();
  verb->add_option("--batch", arguments->batch, "images a step");
  verb->add_option("--repeat", arguments->steps, "steps that are timed");
  add_threads_option(*verb, arguments->threads);
  verb->callback([=, &run] { run = [=] { return profile_verb(*arguments); }; });
}

}  // namespace assay
