// Every convolution of our models, each pass. Verifies against float64 on one image, then times.
//
//   bench_conv2d [--batch N] [--threads N] [Google Benchmark's flags, e.g.
//   --benchmark_filter=kdcae]
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/layer_shapes.h"
#include "bench/operands.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/runtime/isa.h"
#include "kernels/runtime/peaks.h"

namespace assay::bench {
namespace {

enum class Pass { fprop, dgrad, wgrad };
constexpr const char* kPassNames[] = {"fprop", "dgrad", "wgrad"};

struct Operands {
  Conv2dShape s;
  Conv2dEpilogue e;
  std::vector<float> x, w, bias, y, dy, dx, dw, dbias;
  std::vector<uint8_t> argmax;

  Operands(const Conv2dShape& shape, const Conv2dEpilogue& epilogue) : s(shape), e(epilogue) {
    const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
    x = random_floats(int64_t{s.N} * s.H * s.W * s.C, 1);
    w = random_floats(int64_t{s.K} * s.R * s.S * s.C, 2);
    bias = random_floats(s.K, 3);
    dy = random_floats(outputs, 4);
    y.resize(dy.size());
    argmax.resize(dy.size());
    dx.resize(x.size());
    dw.resize(w.size());
    dbias.resize(bias.size());
  }
  Conv2dGrad<float> grad() const { return {dy.data(), y.data(), argmax.data()}; }

  void run(Context& ctx, Pass pass) {
    const Weights<float> weights(w.data(), 1);  // packed once, as in inference
    if (pass == Pass::fprop)
      conv2d_fprop<float>(ctx, s, e, x.data(), weights, bias.data(), y.data(), argmax.data());
    else if (pass == Pass::dgrad)
      conv2d_dgrad<float>(ctx, s, e, grad(), weights, dx.data());
    else
      conv2d_wgrad<float>(ctx, s, e, x.data(), grad(), dw.data(), dbias.data());
  }
};

// Relative Frobenius error against the reference in float64.
double error_of(const std::vector<float>& got, const std::vector<double>& want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(difference / norm);
}

double verify(Context& ctx, const Layer& layer, Pass pass) {
  Conv2dShape s = layer.shape;
  s.N = 1;
  Operands o(s, layer.epilogue);
  o.run(ctx, Pass::fprop);
  if (pass != Pass::fprop) o.run(ctx, pass);
  const std::vector<double> x(o.x.begin(), o.x.end()), w(o.w.begin(), o.w.end()),
      bias(o.bias.begin(), o.bias.end()), dy(o.dy.begin(), o.dy.end()), y(o.y.begin(), o.y.end());
  const Conv2dGrad<double> g{dy.data(), y.data(), o.argmax.data()};
  if (pass == Pass::fprop) {
    std::vector<double> want(o.y.size());
    ref::conv2d_fprop<double>(s, o.e, x.data(), w.data(), bias.data(), want.data(), nullptr);
    return error_of(o.y, want);
  }
  if (pass == Pass::dgrad) {
    std::vector<double> want(o.dx.size());
    ref::conv2d_dgrad<double>(s, o.e, g, w.data(), want.data());
    return error_of(o.dx, want);
  }
  std::vector<double> want(o.dw.size()), dbias(o.dbias.size());
  ref::conv2d_wgrad<double>(s, o.e, x.data(), g, want.data(), dbias.data());
  return error_of(o.dw, want);
}

void bench_layer(benchmark::State& state, Context& ctx, const Peaks& peaks, const Layer& layer,
                 Pass pass) {
  constexpr double kMostError = 1e-5;  // relative Frobenius norm, fp32
  const double error = verify(ctx, layer, pass);
  if (!(error < kMostError)) {
    state.SkipWithError(("wrong result: relative error " + std::to_string(error)).c_str());
    return;
  }
  Operands o(layer.shape, layer.epilogue);
  o.run(ctx, Pass::fprop);
  o.run(ctx, pass);
  for (auto _ : state) o.run(ctx, pass);
  using benchmark::Counter;
  const auto flops = static_cast<double>(conv2d_flops(layer.shape));
  const auto bytes = static_cast<double>(conv2d_least_bytes(layer.shape, layer.epilogue));
  state.counters["FLOP/s"] = Counter(flops, Counter::kIsIterationInvariantRate);
  state.counters["B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate);
  state.counters["of_FMA_peak"] =
      Counter(flops / peaks.fma_flops, Counter::kIsIterationInvariantRate);
  state.counters["of_copy_peak"] =
      Counter(bytes / peaks.copy_bytes, Counter::kIsIterationInvariantRate);
}

int option(int& argc, char** argv, const std::string& name, int fallback) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (name != argv[i]) continue;
    const int value = std::atoi(argv[i + 1]);
    for (int j = i; j + 2 < argc; ++j) argv[j] = argv[j + 2];
    argc -= 2;
    return value;
  }
  return fallback;
}

int run(int argc, char** argv) {
  const int batch = option(argc, argv, "--batch", 32);
  CpuContext ctx(option(argc, argv, "--threads", available_threads()));
  const Peaks peaks = measure_peaks(ctx);
  std::printf(
      "%s, %d threads: FMA peak %.0f GFLOP/s, copy peak %.0f GB/s. FLOPs are nominal "
      "(2 N P Q K R S C): work that folding saves counts as done.\n",
      name_of(active_isa()), ctx.get().threads->threads(), peaks.fma_flops * 1e-9,
      peaks.copy_bytes * 1e-9);
  for (const Layer& layer : model_layers(batch))
    for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
      // A transposed convolution's forward is dgrad, so its first layer lacks fprop instead.
      if (layer.first && pass == (layer.transposed ? Pass::fprop : Pass::dgrad)) continue;
      benchmark::RegisterBenchmark((layer.name + "/" + kPassNames[static_cast<int>(pass)]).c_str(),
                                   [&ctx, &peaks, layer, pass](benchmark::State& state) {
                                     bench_layer(state, ctx, peaks, layer, pass);
                                   })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run(argc, argv);
}
