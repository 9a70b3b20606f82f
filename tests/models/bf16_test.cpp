// The precision bf16 on the CPU: the types of a network's tensors, and training beside fp32.
#include "kernels/runtime/bf16.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cmath>
#include <memory>
#include <set>

#include "kernels/runtime/isa.h"
#include "layers/init.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/networks/kd_cae.h"
#include "models/training/step.h"
#include "tensor/tape.h"
#include "tests/support/random_tensors.h"

namespace assay {
namespace {

/// Unit roundoff of bf16.
constexpr double kUnit = 0x1p-8;

/// While it lives, the process has emulated tile instructions, which allow bf16 on every machine.
class EmulatedTiles {
 public:
  EmulatedTiles() { set_active_tiles(Tiles::emulated); }
  ~EmulatedTiles() { set_active_tiles(before_); }
  EmulatedTiles(const EmulatedTiles&) = delete;
  EmulatedTiles& operator=(const EmulatedTiles&) = delete;

 private:
  Tiles before_ = active_tiles();
};

/// A network and its training step on random images.
class Training {
 public:
  Training(const std::string& preset, int side, int batch) {
    const ModelSpec& model = model_of_preset(preset);
    RunConfig config = default_config(model.name, preset);
    config.batch = batch;
    config.image_size = side;
    network_ = make_network(config);
    init_parameters(*network_, find_preset(preset).init, 1);
    step_ = model.make_step(*network_, config);
    testing::RandomTensors random(9, DType::f32);
    x_ = random.uniform({batch, side, side, config.channels()}, 0, 1);
    labels_ = random.uniform({batch, 1}, 0, 1);
  }

  /// The losses of one step, in the order in which it computes them.
  std::vector<double> run() {
    const std::vector<Batch> batches(static_cast<size_t>(step_->batches_per_step()),
                                     {.images = std::vector<size_t>(static_cast<size_t>(x_.dim(0))),
                                      .x = x_,
                                      .clean = x_,
                                      .labels = labels_});
    std::vector<double> losses;
    gradient_.clear();
    const StepCallbacks callbacks{.on_loss =
                                      [&](const LossTerm& term) {
                                        CHECK(term.loss.dtype() == DType::f32);
                                        losses.push_back(term.loss.item());
                                      },
                                  .update =
                                      [&](Optimizer& optimizer) {
                                        for (const Parameter& p : optimizer.parameters()) {
                                          CHECK(p.tensor.grad().dtype() == DType::f32);
                                          for (const double g : p.tensor.grad().to_doubles())
                                            gradient_.push_back(g);
                                        }
                                        optimizer.step();
                                      }};
    step_->run(step_->inputs(batches), callbacks);
    return losses;
  }
  /// The gradients of the last step, of all parameters.
  const std::vector<double>& gradient() const { return gradient_; }
  TrainingStep& step() { return *step_; }
  Network& network() { return *network_; }
  const Tensor& x() const { return x_; }

 private:
  std::unique_ptr<Network> network_;
  std::unique_ptr<TrainingStep> step_;
  Tensor x_, labels_;
  std::vector<double> gradient_;
};

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  double error = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::isnan(error) ? INFINITY : std::sqrt(error / norm);
}

struct SmallModel {
  const char* preset;
  int side;
};
constexpr SmallModel kModels[] = {{"cnn", 32}, {"kd-cae", 32}, {"ni-cae-128", 32}, {"dcgan", 32}};

TEST_CASE("bf16 on the CPU needs tile instructions") {
  CpuContext ctx(1);
  const EmulatedTiles restore;
  set_active_tiles(Tiles::none);
  CHECK_THROWS_WITH_AS(set_precision(ctx, Precision::bf16), doctest::Contains("amx_bf16"),
                       UsageError);
  CHECK_THROWS_WITH_AS(set_precision(ctx, Precision::bf16), doctest::Contains("ASSAY_AMX=emulated"),
                       UsageError);
  CHECK(ctx.get().precision == Precision::fp32);
  CHECK_THROWS_WITH_AS(set_precision(ctx, Precision::tf32), doctest::Contains("not on the CPU"),
                       UsageError);
  set_active_tiles(Tiles::emulated);
  set_precision(ctx, Precision::bf16);
  CHECK(activation_type(ctx) == DType::bf16);
  set_precision(ctx, Precision::fp32);
  CHECK(activation_type(ctx) == DType::f32);
}

TEST_CASE("in bf16 everything between a network's input and output is bf16") {
  const EmulatedTiles emulated;
  for (const SmallModel& model : kModels) {
    CAPTURE(model.preset);
    CpuContext ctx(2);
    set_precision(ctx, Precision::bf16);
    const ContextScope scope(ctx);
    Training training(model.preset, model.side, 2);
    training.run();  // a DCGAN has no statistics before
    std::multiset<std::string> wide;
    set_op_observer([&](std::string_view op, const Tensor& y, bool backward) {
      if (!backward && y.dtype() != DType::bf16) wide.insert(std::string(op));
    });
    const Shape input = training.network().input_shape(2);
    const Tensor x = testing::RandomTensors(3, DType::f32).uniform(input, 0, 1);
    const Tensor y = training.network()(x);
    set_op_observer({});
    CHECK(y.dtype() == DType::f32);
    CHECK(wide == std::multiset<std::string>{"convert"});
    // A bf16 network on bf16 input converts nothing.
    CHECK(training.network()(x.to(DType::bf16)).dtype() == DType::bf16);
  }
}

TEST_CASE("in bf16 a latent is fp32, and the same in two steps") {
  const EmulatedTiles emulated;
  CpuContext ctx(2);
  set_precision(ctx, Precision::bf16);
  const ContextScope scope(ctx);
  KdCae network(KdCae::Variant::pooled, 32, 3);
  init_parameters(network, Init::he, 1);
  const Tensor x = testing::RandomTensors(4, DType::f32).uniform({2, 32, 32, 3}, 0, 1);
  const Tensor z = network.encode(x);
  CHECK(z.dtype() == DType::f32);
  CHECK(network.latents(x).dtype() == DType::f32);
  CHECK(network.encode_maps(network.maps(x)).to_floats() == z.to_floats());
  CHECK(network.decode(z).to_floats() == network(x).to_floats());
}

TEST_CASE("bf16 trains beside fp32") {
  const EmulatedTiles emulated;
  for (const SmallModel& model : kModels) {
    CAPTURE(model.preset);
    CpuContext wide(2), narrow(2);
    set_precision(narrow, Precision::bf16);
    std::vector<std::vector<double>> want;
    std::vector<double> gradient;
    const auto losses = [&](Context& ctx) {
      const ContextScope scope(ctx);
      Training training(model.preset, model.side, 4);
      std::vector<std::vector<double>> all;
      for (int step = 0; step < 4; ++step) {
        all.push_back(training.run());
        if (step == 0) gradient = training.gradient();
      }
      return all;
    };
    want = losses(wide);
    const std::vector<double> want_gradient = gradient;
    const std::vector<std::vector<double>> got = losses(narrow);
    MESSAGE(model.preset << " gradient " << relative_error(gradient, want_gradient) / kUnit);
    for (size_t step = 0; step < want.size(); ++step)
      for (size_t i = 0; i < want[step].size(); ++i)
        MESSAGE(want[step][i] << " " << (got[step][i] - want[step][i]) / want[step][i] / kUnit);
  }
}

TEST_CASE("bf16 gives the same bits at any number of threads, resumed or not") {
  const EmulatedTiles emulated;
  for (const SmallModel& model : kModels) {
    CAPTURE(model.preset);
    const auto state_of = [&](int threads, bool resumed) {
      CpuContext ctx(threads);
      set_precision(ctx, Precision::bf16);
      const ContextScope scope(ctx);
      auto training = std::make_unique<Training>(model.preset, model.side, 3);
      for (int step = 0; step < 4; ++step) {
        if (resumed && step == 2) {
          const StateDict state = training->step().save();
          training = std::make_unique<Training>(model.preset, model.side, 3);
          training->step().load(state, "state");
        }
        training->run();
      }
      std::vector<std::vector<uint8_t>> bytes;
      for (const auto& entry : training->step().save()) bytes.push_back(entry.second.bytes);
      return bytes;
    };
    const auto one = state_of(1, false);
    CHECK(state_of(2, false) == one);
    CHECK(state_of(3, true) == one);
  }
}

// Activations and their gradients are most of a training's memory, and half as large in bf16; what
// the fp32 kernels between conversions need is freed after each call.
TEST_CASE("a step in bf16 takes less memory") {
  const EmulatedTiles emulated;
  const auto peak = [](Precision precision) {
    CpuContext ctx(2);
    set_precision(ctx, precision);
    const ContextScope scope(ctx);
    Training training("kd-cae", 64, 8);
    training.run();
    ctx.get().memory->reset_peak();
    training.run();
    return static_cast<double>(ctx.get().memory->stats().peak);
  };
  const double ratio = peak(Precision::bf16) / peak(Precision::fp32);
  MESSAGE("memory " << ratio);
}

}  // namespace
}  // namespace assay
