// Whole training steps and inference of our networks. Verifies the gradient, then times.
//
//   bench_step [Google Benchmark's flags, e.g. --benchmark_filter=kd-cae/train/32/]
//
// MiB is the peak resident size of the process less that before the first step: filter for one
// benchmark to read it.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "bench/operands.h"
#include "kernels/runtime/peaks.h"
#include "models/dcgan.h"
#include "models/network.h"
#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace assay::bench {
namespace {

/// One loss, the parameters it trains, and their optimizer.
struct Objective {
  std::function<Tensor()> loss;
  std::vector<Parameter> parameters;
  std::unique_ptr<Optimizer> optimizer;

  void backward() {
    for (const Parameter& p : parameters) p.tensor.set_grad({});
    Tape tape;
    tape.backward(loss());
  }
};

Tensor random_tensor(const Shape& shape, float scale, float shift, uint64_t seed) {
  auto values = random_floats(numel(shape), seed);
  for (float& v : values) v = scale * v + shift;
  return Tensor::from(shape, std::span<const float>(values));
}

/// A network with what a step of it needs. A DCGAN's step is one of D, then one of G; both run G.
class Step {
 public:
  Step(const std::string& preset, int64_t batch)
      : net_(make_network(preset)), init_(find_preset(preset).init) {
    init_parameters(*net_, init_, 1);
    input_ = random_tensor(net_->input_shape(batch), 0.5f, 0.5f, 2);  // pictures in [0,1)
    if (auto* gan = dynamic_cast<Dcgan*>(net_.get())) {
      input_ = random_tensor(net_->input_shape(batch), 1.7f, 0, 2);  // about N(0,1)'s deviation
      make_gan(*gan, batch);
    } else if (preset.starts_with("cnn")) {
      std::vector<float> labels(static_cast<size_t>(batch));
      for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<float>(i % 2);
      const Tensor target = Tensor::from({batch, 1}, std::span<const float>(labels));
      add([this, target] { return bce_with_logits_loss(net_->forward(input_), target); },
          std::make_unique<Rmsprop>(net_->parameters(), RmspropOptions{}), net_->parameters());
    } else {
      add([this] { return mse_loss(net_->forward(input_), input_); },
          std::make_unique<Adam>(net_->parameters(), AdamOptions{}), net_->parameters());
    }
  }

  void train() {
    for (Objective& o : objectives_) {
      before(o);
      o.backward();
      o.optimizer->step();
    }
  }
  void infer() {
    net_->eval();
    benchmark::DoNotOptimize(net_->forward(input_).data<float>());
    net_->train();
  }
  double forward_flops(int64_t batch) const {
    double flops = 0;
    for (const LayerRow& row : net_->table(batch)) flops += static_cast<double>(row.flops);
    return flops;
  }

  /// Taylor's theorem: a small step against the gradient g lowers the loss by length * |g|^2. The
  /// largest relative deviation from that over the objectives.
  double gradient_error() {
    double worst = 0;
    for (Objective& o : objectives_) {
      before(o);
      o.backward();
      double squared = 0;
      for (const Parameter& p : o.parameters)
        for (const double g : p.tensor.grad().to_doubles()) squared += g * g;
      const double loss = o.loss().item();
      const double length = 5e-4 * loss / squared;  // lowers the loss by half a thousandth
      const auto move = [&](double factor) {
        for (const Parameter& p : o.parameters)
          p.tensor.copy_from(assay::add(p.tensor.detach(), affine(p.tensor.grad(), factor, 0)));
      };
      move(-length / 2);
      const double below = o.loss().item();
      move(length);
      const double above = o.loss().item();
      move(-length / 2);
      worst = std::max(worst, std::abs((above - below) / (length * squared) - 1));
    }
    return worst;
  }

 private:
  void add(std::function<Tensor()> loss, std::unique_ptr<Optimizer> optimizer,
           std::vector<Parameter> parameters) {
    objectives_.push_back({std::move(loss), std::move(parameters), std::move(optimizer)});
  }

  void make_gan(Dcgan& gan, int64_t batch) {
    const int64_t side = gan.image_size();
    const Tensor real = random_tensor({batch, side, side, gan.channels()}, 1, 0, 3);
    const Tensor one = Tensor::full({batch, 1}, 1), zero = Tensor::zeros({batch, 1});
    const AdamOptions options{.learning_rate = 2e-4, .beta1 = 0.5};
    add(
        [&gan, this, real, one, zero] {
          return assay::add(
              bce_with_logits_loss(gan.discriminate(real), one),
              bce_with_logits_loss(gan.discriminate(gan.generate(input_).detach()), zero));
        },
        std::make_unique<Adam>(gan.discriminator_parameters(), options),
        gan.discriminator_parameters());
    add([&gan, this,
         one] { return bce_with_logits_loss(gan.discriminate(gan.generate(input_)), one); },
        std::make_unique<Adam>(gan.generator_parameters(), options), gan.generator_parameters());
  }

  // Only what the objective trains gets gradients.
  void before(const Objective& o) {
    auto* gan = dynamic_cast<Dcgan*>(net_.get());
    if (gan == nullptr) return;
    const bool trains_discriminator = &o == &objectives_.front();
    gan->discriminator().set_requires_grad(trains_discriminator);
    gan->generator().set_requires_grad(!trains_discriminator);
  }

  std::unique_ptr<Network> net_;
  Init init_;
  Tensor input_;
  std::vector<Objective> objectives_;
};

/// A line of /proc/self/status in MiB: VmRSS is the resident size, VmHWM its peak.
double status_mib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stod(line.substr(key.size() + 1)) / 1024;
  return 0;
}
/// Makes the peak start again from the present size; returns that.
double reset_peak_mib() {
  std::ofstream("/proc/self/clear_refs") << 5;
  return status_mib("VmRSS");
}

void bench_network(benchmark::State& state, const Peaks& peaks, const std::string& preset,
                   int64_t batch, bool training) {
  constexpr double kMostError = 0.02;  // second order of the Taylor step, and fp32 differences
  // The network and its optimizer are there; the first call of the process counts.
  Step step(preset, batch);
  static const double resident_before = reset_peak_mib();
  if (training) {
    Step small(preset, 4);
    const double error = small.gradient_error();
    if (!(error < kMostError)) {
      state.SkipWithError(
          ("the loss does not follow its gradient: " + std::to_string(error)).c_str());
      return;
    }
  }
  const auto run = [&] { training ? step.train() : step.infer(); };
  run();
  run();
  const int64_t system_calls = current_context().memory->stats().system_calls;
  for (auto _ : state) run();
  const MemoryStats memory = current_context().memory->stats();
  using benchmark::Counter;
  const double flops = (training ? 3 : 1) * step.forward_flops(batch);
  state.counters["images/s"] =
      Counter(static_cast<double>(batch), Counter::kIsIterationInvariantRate);
  state.counters["FLOP/s"] = Counter(flops, Counter::kIsIterationInvariantRate);
  state.counters["of_FMA_peak"] =
      Counter(flops / peaks.fma_flops, Counter::kIsIterationInvariantRate);
  state.counters["blocks_from_system"] = static_cast<double>(memory.system_calls - system_calls);
  state.counters["MiB"] = status_mib("VmHWM") - resident_before;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  using namespace assay::bench;
  const assay::Peaks peaks = assay::measure_peaks(assay::current_context());
  std::printf("FMA peak %.0f GFLOP/s; FLOPs of a training step: three forward passes, nominal\n",
              peaks.fma_flops * 1e-9);
  for (const char* preset : {"cnn", "kd-cae", "ni-cae-128", "ni-cae", "dcgan"})
    for (const int64_t batch : {1, 32})
      for (const bool training : {true, false})
        benchmark::RegisterBenchmark(
            (std::string(preset) + (training ? "/train/" : "/infer/") + std::to_string(batch))
                .c_str(),
            [&peaks, preset, batch, training](benchmark::State& state) {
              bench_network(state, peaks, preset, batch, training);
            })
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
