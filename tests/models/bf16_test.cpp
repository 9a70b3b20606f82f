// The precision bf16: the types of a network's tensors, and training beside fp32.
#include "kernels/runtime/bf16.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "kernels/runtime/isa.h"
#include "layers/init.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/networks/kd_cae.h"
#include "models/training/step.h"
#include "tensor/tape.h"
#include "tests/support/kernel_test.h"
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
  std::vector<double> run(const std::function<void()>& at_loss = [] {}) {
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
                                        at_loss();
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
  std::string preset;
  int side = 32;
  bool gradients_compare = false, has_logits = false;
};
const SmallModel kModels[] = {{.preset = "cnn", .gradients_compare = true, .has_logits = true},
                              {.preset = "kd-cae", .gradients_compare = true},
                              {.preset = "ni-cae-128"},
                              {.preset = "dcgan", .has_logits = true}};

/// Runs f(ctx) on the CPU, with emulated tile instructions, and on the CUDA device.
template <class F>
void for_each_device(const F& f) {
  if (test::tested("cpu")) {
    const EmulatedTiles emulated;
    CpuContext ctx(2);
    f(ctx.get());
  }
  if (test::cuda_tested()) f(make_context(Device::cuda(), 1)->get());
}

TEST_CASE("bf16 on the CPU needs tile instructions") {
  if (!test::tested("cpu")) return;
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
  for_each_device([](Context& ctx) {
    for (const SmallModel& model : kModels) {
      CAPTURE(model.preset);
      set_precision(ctx, Precision::bf16);
      const ContextScope scope(ctx);
      Training training(model.preset, model.side, 2);
      training.run();  // a DCGAN has no statistics before
      std::multiset<std::string> wide;
      const Shape input = training.network().input_shape(2);
      const Tensor x = testing::RandomTensors(3, DType::f32).uniform(input, 0, 1);
      Tensor y;
      {
        const OpObserver observer([&](std::string_view op, const Tensor& output, bool backward) {
          if (!backward && output.dtype() != DType::bf16) wide.insert(std::string(op));
        });
        y = training.network()(x);
      }
      CHECK(y.dtype() == DType::f32);
      CHECK(wide == std::multiset<std::string>{"convert"});
      // A bf16 network on bf16 input converts nothing.
      CHECK(training.network()(x.to(DType::bf16)).dtype() == DType::bf16);
    }
  });
}

TEST_CASE("in bf16 a latent is fp32, and the same in two steps") {
  if (!test::tested("cpu")) return;
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

// The first loss is a mean over numbers that each are off by a unit or two, to either side. Later
// ones follow updates of one size (Adam, RMSprop), in which a weight whose gradient is near 0 may
// move the other way. Four steps of fp32 itself change a loss by far more. A small cross-entropy is
// about exp(-z) of the logit z: what is off by a share of z is off by z times that share.
TEST_CASE("bf16 trains beside fp32") {
  const EmulatedTiles emulated;
  for (const SmallModel& model : kModels) {
    CAPTURE(model.preset);
    std::vector<double> gradient;
    const auto losses = [&](Context& ctx, Precision precision, Algorithm algorithm) {
      set_precision(ctx, precision);
      ctx.algorithm = algorithm;
      const ContextScope scope(ctx);
      Training training(model.preset, model.side, 4);
      std::vector<double> all = training.run();
      gradient = training.gradient();
      for (int step = 1; step < 4; ++step)
        for (const double loss : training.run()) all.push_back(loss);
      return all;
    };
    CpuContext cpu(2);
    const std::vector<double> want = losses(cpu, Precision::fp32, Algorithm::automatic),
                              want_gradient = gradient;
    std::vector<double> before = want;
    const auto check = [&](Context& ctx, Algorithm algorithm) {
      CAPTURE(ctx.device.name());
      CAPTURE(name_of(algorithm));
      const std::vector<double> got = losses(ctx, Precision::bf16, algorithm);
      REQUIRE(got.size() == want.size());
      CHECK(got != before);
      before = got;
      CHECK(std::abs(got[0] - want[0]) <= 2 * kUnit * want[0]);
      for (size_t i = 1; i < want.size(); ++i) {
        const double logit = model.has_logits ? std::max(1.0, -std::log(want[i])) : 1;
        CHECK(std::abs(got[i] - want[i]) <= 10 * kUnit * logit * want[i]);
      }
      // Not where rounding adds up instead: the first output of NI-CAE is nearly the same number
      // everywhere, which is rounded to one side, and the DCGAN's gradients are of later updates.
      if (model.gradients_compare) CHECK(relative_error(gradient, want_gradient) <= 8 * kUnit);
    };
    if (test::tested("cpu"))
      for (const Algorithm algorithm : {Algorithm::automatic, Algorithm::tiles})
        check(cpu, algorithm);
    if (test::cuda_tested()) {
      const auto cuda = make_context(Device::cuda(), 1);
      check(*cuda, Algorithm::automatic);
    }
  }
}

TEST_CASE("bf16 gives the same bits at any number of threads, resumed or not") {
  if (!test::tested("cpu")) return;
  const EmulatedTiles emulated;
  for (const SmallModel& model : kModels) {
    CAPTURE(model.preset);
    const auto state_of = [&](int threads, bool resumed, Algorithm algorithm) {
      CpuContext ctx(threads);
      set_precision(ctx, Precision::bf16);
      ctx.get().algorithm = algorithm;
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
    for (const Algorithm algorithm : {Algorithm::automatic, Algorithm::tiles}) {
      if (algorithm == Algorithm::tiles && model.preset != "kd-cae") continue;  // emulated: slow
      CAPTURE(name_of(algorithm));
      const auto one = state_of(1, false, algorithm);
      CHECK(state_of(2, false, algorithm) == one);
      CHECK(state_of(3, true, algorithm) == one);
    }
  }
}

// What lives from the forward to the backward pass: half of the activations, and in full the argmax
// bytes of the pools, the network's fp32 output and the gradient of the loss.
TEST_CASE("in bf16 a step keeps less memory") {
  for_each_device([](Context& ctx) {
    const auto kept = [&](Precision precision) {
      set_precision(ctx, precision);
      const ContextScope scope(ctx);
      Training training("kd-cae", ctx.device.is_cuda() ? 32 : 64, ctx.device.is_cuda() ? 2 : 8);
      training.run();
      const int64_t before = ctx.memory->stats().live;
      int64_t at_loss = 0;
      training.run([&] { at_loss = ctx.memory->stats().live; });
      return static_cast<double>(at_loss - before);
    };
    CHECK(kept(Precision::bf16) <= 0.75 * kept(Precision::fp32));
  });
}

}  // namespace
}  // namespace assay
