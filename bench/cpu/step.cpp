// Whole training steps and inference of our networks. Verifies the gradient, then times.
//
//   bench_step [Google Benchmark's flags, e.g. --benchmark_filter=kd-cae/train/32/]
//   bench_step --onnx=FOLDER      writes the networks, with an input and its output, and times
//   nothing
//
// Where the process has tile instructions, emulated ones too, also in bf16: kd-cae/train-bf16/32/.
//
// MiB is the peak resident size of the process less that before the first step, the optimizer's
// moments included.
#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <malloc.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "bench/cpu/program.h"
#include "bench/training_step.h"
#include "kernels/conv2d/algorithm.h"
#include "kernels/runtime/isa.h"
#include "models/experiments/onnx.h"
#include "tensor/permute.h"
#include "tensor/safetensors.h"

namespace assay::bench {
namespace {

constexpr const char* kPresets[] = {"cnn", "kd-cae", "ni-cae-128", "ni-cae", "dcgan"};

/// A line of /proc/self/status in MiB: VmRSS is the resident size, VmHWM its peak.
double status_mib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stod(line.substr(key.size() + 1)) / 1024;
  return 0;
}
/// Resets the peak to the present resident size, which it returns.
double reset_peak_mib() {
  std::ofstream("/proc/self/clear_refs") << 5;
  return status_mib("VmRSS");
}

/// MiB of the optimizers' moments. PyTorch makes its moments in the first step, so ours count as
/// memory of training too.
double moments_mib(TrainingStep& step) {
  size_t bytes = 0;
  for (const StepOptimizer& use : step.optimizers())
    for (const auto& [name, stored] : use.optimizer->save()) bytes += stored.bytes.size();
  return static_cast<double>(bytes) / (1 << 20);
}

/// The relative difference of a step's gradient in bf16 from that in fp32.
double bf16_error(const std::string& preset) {
  Context& ctx = current_context();
  const std::vector<double> got = BenchStep(preset, 4).values().gradient;
  set_precision(ctx, Precision::fp32);
  const std::vector<double> want = BenchStep(preset, 4).values().gradient;
  set_precision(ctx, Precision::bf16);
  double difference = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(difference / norm);
}

void bench_network(benchmark::State& state, const Peaks& peaks, const std::string& preset,
                   int64_t batch, bool training, Precision precision) {
  Context& ctx = current_context();
  set_precision(ctx, precision);
  if (training) {
    // The second order of the Taylor step, and fp32 differences; in bf16 only wrong wiring is
    // found, because the gradient jumps where a maximum or a sign differs.
    const bool wide = precision == Precision::fp32;
    const double bound = wide ? 0.02 : 0.3,
                 error = wide ? BenchStep(preset, 4).gradient_error() : bf16_error(preset);
    if (!(error < bound)) {
      state.SkipWithError(
          fmt::format("the loss does not follow its gradient: {:f}", error).c_str());
      return;
    }
  }
  ctx.weights->clear();  // removes what the check or an earlier benchmark left
  ctx.memory->trim();
  BenchStep step(preset, batch);
  const double moments = training ? moments_mib(step.step()) : 0;
  malloc_trim(0);
  const double resident_before = reset_peak_mib() - moments;
  const auto run = [&] { step.run(training); };
  run();
  run();
  const int64_t system_calls = ctx.memory->stats().system_calls;
  for (auto _ : state) run();
  const MemoryStats memory = ctx.memory->stats();
  using benchmark::Counter;
  const double flops = (training ? 3 : 1) * step.forward_flops(batch);
  state.counters["images/s"] =
      Counter(static_cast<double>(batch), Counter::kIsIterationInvariantRate);
  count_flops(state, flops, peaks);
  state.counters["blocks_from_system"] = static_cast<double>(memory.system_calls - system_calls);
  state.counters["MiB"] = status_mib("VmHWM") - resident_before;
}

/// PRESET.onnx of the networks that are timed, and PRESET.safetensors: one input and its output as
/// the graph has them.
void write_networks(const std::filesystem::path& folder) {
  const auto as_in_graph = [](const Tensor& x) {
    return StoredTensor::of(x.shape().size() == 4 ? permute(x, {0, 3, 1, 2}) : x);
  };
  for (const std::string preset : kPresets) {
    BenchStep step(preset, 1);
    const OnnxSource source{.networks = {&step.network()},
                            .rows = preset == "dcgan" ? "generator" : "",
                            .input = "input",
                            .output = "output"};
    write_onnx(source, folder / (preset + ".onnx"));
    write_safetensors(folder / (preset + ".safetensors"),
                      {{{source.input, as_in_graph(step.inference_input())},
                        {source.output, as_in_graph(step.infer())}},
                       {}});
  }
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  using namespace assay::bench;
  if (const std::string folder = option(argc, argv, "--onnx", ""); !folder.empty()) {
    write_networks(folder);
    return 0;
  }
  assay::current_context().algorithm = assay::conv2d_algorithm_from_name(
      assay::Device::cpu(), option(argc, argv, "--algorithm", "automatic"));
  const assay::Peaks peaks = assay::measure_peaks(assay::current_context());
  std::printf("FMA peak %.0f GFLOP/s; FLOPs of a training step: three forward passes, nominal\n",
              peaks.fma_flops * 1e-9);
  std::vector<assay::Precision> precisions = {assay::Precision::fp32};
  if (assay::active_tiles() != assay::Tiles::none) precisions.push_back(assay::Precision::bf16);
  for (const char* preset : kPresets)
    for (const int64_t batch : {1, 32})
      for (const bool training : {true, false})
        for (const assay::Precision precision : precisions)
          benchmark::RegisterBenchmark(
              fmt::format("{}/{}{}/{}", preset, training ? "train" : "infer",
                          precision == assay::Precision::bf16 ? "-bf16" : "", batch)
                  .c_str(),
              [&peaks, preset, batch, training, precision](benchmark::State& state) {
                bench_network(state, peaks, preset, batch, training, precision);
              })
              ->Unit(benchmark::kMillisecond)
              ->UseRealTime();
  return run_benchmarks(argc, argv);
}
