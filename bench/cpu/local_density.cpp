// The detector's density at the sizes of three classes. Verifies some cells against float64, then
// times. Bank and metric are made before, as in a trained detector.
#include "kernels/local_density/local_density.h"

#include <benchmark/benchmark.h>

#include <cmath>

#include "bench/cpu/density_operands.h"
#include "bench/cpu/program.h"

namespace assay::bench {
namespace {

struct Case {
  const char* name;
  LocalDensityShape s;
  LocalKernel kernel;
  bool masked;
};
constexpr LocalKernel kNearest{}, kDensity{LocalKernel::Kind::log_sum_exp, 3.0};
const Case kCases[] = {
    {"bottle_test/nearest", {32, 32, 1, 210, 83, 81}, kNearest, false},
    {"bottle_test/log_sum_exp", {32, 32, 1, 210, 83, 81}, kDensity, false},
    {"bottle_train/leave_one_out", {32, 32, 1, 210, 210, 81}, kNearest, true},
    {"batch_32/nearest", {32, 32, 1, 210, 32, 81}, kNearest, false},
    {"batch_1/nearest", {32, 32, 1, 210, 1, 81}, kNearest, false},
    {"own_cell/nearest", {32, 32, 0, 210, 83, 81}, kNearest, false},
    {"one_bank/nearest", {1, 1, 0, 2000, 32 * 1024, 81}, kNearest, false},
};

void bench_density(benchmark::State& state, Context& ctx, const Peaks& peaks, const Case& c) {
  DensityOperands operands(ctx, c.s);
  operands.run(ctx, c.kernel, c.masked);
  if (!operands.right(c.kernel, c.masked)) {
    state.SkipWithError("wrong result");
    return;
  }
  for (auto _ : state) operands.run(ctx, c.kernel, c.masked);
  count_flops(state, static_cast<double>(local_density_flops(c.s)), peaks);
}

/// Times the preparation in training: the metrics (covariances and inverses) or the norms.
void bench_prepare(benchmark::State& state, Context& ctx, bool metric) {
  DensityOperands o(ctx, kCases[0].s);
  for (auto _ : state)
    if (metric)
      local_metric<float>(ctx, o.s, 1, o.features.data(), o.centre.data(), o.metric.data());
    else
      local_bank_norms<float>(ctx, o.s, o.features.data(), o.metric.data(), o.centre.data(),
                              o.norms.data());
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  using namespace assay::bench;
  assay::CpuContext ctx;
  const assay::Peaks peaks = assay::measure_peaks(ctx);
  print_peaks(peaks);
  for (const Case& c : kCases)
    benchmark::RegisterBenchmark(
        c.name, [&](benchmark::State& state) { bench_density(state, ctx, peaks, c); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  for (const bool metric : {true, false})
    benchmark::RegisterBenchmark(
        metric ? "bottle_bank/metric" : "bottle_bank/norms",
        [&, metric](benchmark::State& state) { bench_prepare(state, ctx, metric); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  return run_benchmarks(argc, argv);
}
