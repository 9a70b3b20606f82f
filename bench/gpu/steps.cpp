// Whole training steps and inference of our networks, launched one by one and as a CUDA graph:
// stage `steps`. Also the launches of a step, by kernel. Verifies the gradient on the device, then
// times. PyTorch's: bench/pytorch.
#include <fmt/core.h>

#include <cmath>
#include <functional>
#include <memory>

#include "bench/gpu/conv_check.h"
#include "bench/gpu/harness.h"
#include "bench/gpu/launches.h"
#include "bench/training_step.h"
#include "kernels/runtime/cuda/step_graph.h"
#include "models/training/recorded_step.h"

namespace assay::bench {
namespace {

enum class Way { train_graph, train_eager, infer_graph, infer_eager };
constexpr const char* kWayNames[] = {"train-graph", "train-eager", "infer-graph", "infer-eager"};

/// Small images for the emulator; a GPU gets the preset's own.
int image_size(const std::string& preset) {
  if (real_device()) return 0;
  return preset == "dcgan" ? 0 : preset == "cnn" ? 48 : 32;
}

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  const double error = std::sqrt(difference / norm);
  return std::isnan(error) ? INFINITY : error;
}

/// Loss, output and gradient of a few images against the CPU's in fp32. Ten layers may add up to
/// five times the error of one. The gradient is only checked for wrong wiring, because it jumps if
/// a maximum or a sign differs.
void verify(Context& ctx, Row& row, const std::string& preset, int batch) {
  const auto values = [&] {
    return BenchStep(preset, std::min(batch, 4), image_size(preset)).values();
  };
  const auto got = values();
  CpuContext cpu;
  const ContextScope scope(cpu);
  const auto want = values();
  row["loss_error"] = relative_error(got.losses, want.losses);
  row["output_error"] = relative_error(got.output, want.output);
  row["gradient_error"] = relative_error(got.gradient, want.gradient);
  const double bound_of_values = 5 * max_error(ctx.precision);
  for (const auto& [name, bound] :
       {std::pair("loss_error", bound_of_values), std::pair("output_error", bound_of_values),
        std::pair("gradient_error", 0.3)})
    ASSAY_CHECK(row[name].get<double>() <= bound, "ours is wrong: {} {}", name, row[name].dump());
}

void time_step(benchmark::State& state, Bench& bench, Row& row, const std::string& preset,
               Precision precision, Way way) {
  constexpr double kMaxError = 0.02;  // second order of the Taylor step, and fp32 differences
  const ContextScope scope(bench.ctx);
  bench.ctx.precision = precision;
  const bool training = way == Way::train_graph || way == Way::train_eager;
  const int batch = bench.settings.batch;
  row["mode"] = name_of(precision);
  row["batch"] = batch;
  if (training && (precision == Precision::fp32 || precision == Precision::tf32x3)) {
    BenchStep small(preset, std::min(batch, 4), image_size(preset));
    const double error = small.gradient_error();
    row["relative_error"] = error;
    ASSAY_CHECK(error < kMaxError, "the loss does not follow its gradient: {:g}", error);
  }
  verify(bench.ctx, row, preset, batch);
  BenchStep step(preset, batch, image_size(preset));
  row["step_flops"] = (training ? 3 : 1) * step.forward_flops(batch);
  constexpr int kWarmUp = 4;  // a recorder's runs before it replays, and one more
  std::unique_ptr<RecordedStep> recorded;
  StepGraph graph(bench.cuda);
  std::function<void()> run;
  switch (way) {
    case Way::train_graph:
      recorded = std::make_unique<RecordedStep>(step.step());
      run = [&] { recorded->run(step.inputs(), [](const LossTerm&) {}); };
      break;
    case Way::infer_graph:
      run = [&] { graph.run([&] { step.infer(); }); };
      break;
    case Way::train_eager:
      run = [&] { step.train(); };
      break;
    case Way::infer_eager:
      run = [&] { step.infer(); };
      break;
  }
  for (int i = 0; i < kWarmUp; ++i) run();
  const Work once = [&](int) { run(); };
  const double first = bench.timer.eager(once, 1);
  const int launches = real_device() ? std::max(1, static_cast<int>(1000 / first)) : 1;
  std::vector<double> us;
  for (auto _ : state) {
    us.push_back(bench.timer.eager(once, launches));
    state.SetIterationTime(us.back() * 1e-6);
  }
  const MemoryStats memory = bench.ctx.memory->stats();
  row["ours_us"] = median(us);
  row["ours_p10_us"] = quantile(us, 0.1);
  row["ours_p90_us"] = quantile(us, 0.9);
  row["images_per_second"] = batch / (median(us) * 1e-6);
  row["peak_bytes"] = memory.peak;
}

/// The launches of a recorded step in fp32, by kernel, and the grid of each in order; no time.
void count_launches(benchmark::State& state, Bench& bench, Row& row, const LaunchCount& stated) {
  const StepLaunches found = count_step_launches(bench.cuda, stated.preset, bench.settings.batch);
  row["batch"] = bench.settings.batch;
  row["launches"] = found.count();
  row["aim"] = stated.aim;
  row["nodes"] = found.nodes;
  for (const auto& [kernel, count] : found.kernels) row["kernels"][kernel] = count;
  for (const auto& [kernel, blocks] : found.grids) row["blocks"].push_back({kernel, blocks});
  for (auto _ : state) state.SetIterationTime(0);
}

std::vector<Cell> cells(const Settings& settings) {
  std::vector<Cell> all;
  for (const LaunchCount& stated : kLaunchCounts)
    all.push_back({fmt::format("steps/{}-b{}/launches/fp32", stated.preset, settings.batch),
                   [=](benchmark::State& state, Bench& bench, Row& row) {
                     count_launches(state, bench, row, stated);
                   }});
  for (const char* preset : {"cnn", "kd-cae", "ni-cae", "dcgan"})
    for (const Way way : {Way::train_graph, Way::train_eager, Way::infer_graph, Way::infer_eager})
      for (const Precision p : kModes)
        all.push_back({fmt::format("steps/{}-b{}/{}/{}", preset, settings.batch,
                                   kWayNames[static_cast<int>(way)], name_of(p)),
                       [=](benchmark::State& state, Bench& bench, Row& row) {
                         time_step(state, bench, row, preset, p, way);
                       }});
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
