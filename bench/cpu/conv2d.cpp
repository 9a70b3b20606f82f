// Every convolution of our models, each pass. Verifies against float64 on one image, then times.
//
//   bench_conv2d [--batch N] [--threads N] [--algorithm NAME] [--precision fp32 | bf16]
//                [Google Benchmark's flags, e.g. --benchmark_filter=kdcae]
//
// The label of a row says which algorithm ran: where the one asked for does not cover a layer, it
// is another.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <cstdio>
#include <string>
#include <type_traits>

#include "bench/conv_case.h"
#include "bench/cpu/program.h"
#include "bench/model_layers.h"
#include "kernels/conv2d/algorithm.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/isa.h"

namespace assay::bench {
namespace {

/// T is the type of activations.
template <class T>
void bench_layer(benchmark::State& state, Context& ctx, const Peaks& peaks, const Layer& layer,
                 Pass pass) {
  const double error = verify<T>(ctx, layer, pass);
  if (!(error < kMaxError<T>)) {
    state.SkipWithError(fmt::format("wrong result: relative error {:f}", error).c_str());
    return;
  }
  OperandsOf<T> o(layer.shape, layer.epilogue);
  o.run(ctx, Pass::fprop);
  o.run(ctx, pass);
  for (auto _ : state) o.run(ctx, pass);
  const Conv2dChoice choice = conv2d_algorithm(ctx, pass, layer.shape, layer.epilogue, dtype_of<T>);
  state.SetLabel(choice.gemm != nullptr ? "gemm" : choice.name());
  const auto flops = static_cast<double>(conv2d_flops(layer.shape));
  count_flops(state, flops, peaks);
  if (std::is_same_v<T, float>)
    count_bytes(state, static_cast<double>(conv2d_min_bytes(layer.shape, layer.epilogue)), peaks);
}

int run(int argc, char** argv) {
  const int batch = option(argc, argv, "--batch", 32);
  CpuContext ctx(option(argc, argv, "--threads", available_threads()));
  ctx.get().algorithm =
      conv2d_algorithm_from_name(Device::cpu(), option(argc, argv, "--algorithm", "automatic"));
  set_precision(ctx, precision_from_name(option(argc, argv, "--precision", "fp32").c_str()));
  const bool is_bf16 = activation_type(ctx) == DType::bf16;
  const Peaks peaks = measure_peaks(ctx);
  std::printf(
      "%s, %d threads: FMA peak %.0f GFLOP/s, copy peak %.0f GB/s. FLOPs are nominal "
      "(2 N P Q K R S C): work that folding saves counts as done.\n",
      name_of(active_isa()), ctx.get().threads->threads(), peaks.fma_flops * 1e-9,
      peaks.copy_bytes * 1e-9);
  for (const Layer& layer : model_layers(batch))
    for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
      if (!is_used(layer, pass)) continue;
      benchmark::RegisterBenchmark((layer.name + "/" + name_of(pass)).c_str(),
                                   [&ctx, &peaks, is_bf16, layer, pass](benchmark::State& state) {
                                     const auto bench =
                                         is_bf16 ? bench_layer<bf16> : bench_layer<float>;
                                     bench(state, ctx, peaks, layer, pass);
                                   })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  return run_benchmarks(argc, argv);
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  try {
    return assay::bench::run(argc, argv);
  } catch (const assay::UsageError& error) {
    std::fprintf(stderr, "bench_conv2d: %s\n", error.what());
    return 2;
  }
}
