// The detector's density at the sizes of three classes. Verifies some cells against float64, then
// times. Bank and metric are made before, as in a trained detector.
#include "kernels/local_density/local_density.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>

#include "bench/operands.h"
#include "kernels/local_density/local_density_ref.h"
#include "kernels/runtime/peaks.h"

namespace assay::bench {
namespace {

struct Operands {
  LocalDensityShape s;
  std::vector<float> features, queries, centre, metric, norms, scores;
  std::vector<int> query_image;

  Operands(Context& ctx, const LocalDensityShape& shape)
      : s(shape),
        features(random_floats(int64_t{s.cells()} * s.C * s.n, 1)),
        queries(random_floats(int64_t{s.cells()} * s.m * s.C, 2)),
        centre(static_cast<size_t>(s.cells()) * s.C),
        metric(static_cast<size_t>(s.cells()) * s.C * s.C),
        norms(static_cast<size_t>(s.cells()) * s.window() * s.n),
        scores(static_cast<size_t>(s.cells()) * s.m) {
    for (int j = 0; j < s.m; ++j) query_image.push_back(j);
    local_metric<float>(ctx, s, 1, features.data(), centre.data(), metric.data());
    local_bank_norms<float>(ctx, s, features.data(), metric.data(), centre.data(), norms.data());
  }
  LocalBank<float> bank() const {
    return {features.data(), metric.data(), centre.data(), norms.data()};
  }
  void run(Context& ctx, const LocalKernel& kernel, bool masked) {
    local_density<float>(ctx, s, kernel, bank(), queries.data(),
                         masked ? query_image.data() : nullptr, scores.data());
  }
  /// Whether the first query of the first and of the last cell is within its bound.
  bool right(const LocalKernel& kernel, bool masked) const {
    for (const int cell : {0, s.cells() - 1}) {
      const LocalDensityShape one{
          .height = 1, .width = 1, .radius = 0, .n = s.window() * s.n, .m = 1, .C = s.C};
      std::vector<float> window(static_cast<size_t>(one.C) * one.n), norm(one.n);
      std::vector<int> image(one.n);
      for (int k = 0; k < s.window(); ++k)
        for (int i = 0; i < s.n; ++i) {
          image[k * s.n + i] = i;
          for (int64_t c = 0; c < s.C; ++c)
            window[c * one.n + k * s.n + i] =
                features[(s.neighbour(cell, k) * int64_t{s.C} + c) * s.n + i];
        }
      const LocalBank<float> bank{window.data(), metric.data() + int64_t{cell} * s.C * s.C,
                                  centre.data() + int64_t{cell} * s.C, norm.data(), image.data()};
      std::vector<float> first_query(s.C);
      for (int64_t c = 0; c < s.C; ++c) first_query[c] = queries[(int64_t{cell} * s.C + c) * s.m];
      const float* query = first_query.data();
      float want = 0;
      ref::local_density(one, kernel, bank, query, masked ? query_image.data() : nullptr, &want);
      if (!(std::abs(scores[int64_t{cell} * s.m] - want) <=
            ref::local_density_bound(one, kernel, bank, query, 0) + 1.2e-7 * std::abs(want)))
        return false;
    }
    return true;
  }
};

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

void count(benchmark::State& state, double flops, const Peaks& peaks) {
  using benchmark::Counter;
  state.counters["FLOP/s"] = Counter(flops, Counter::kIsIterationInvariantRate);
  state.counters["of_FMA_peak"] =
      Counter(flops / peaks.fma_flops, Counter::kIsIterationInvariantRate);
}

void bench_density(benchmark::State& state, Context& ctx, const Peaks& peaks, const Case& c) {
  Operands operands(ctx, c.s);
  operands.run(ctx, c.kernel, c.masked);
  if (!operands.right(c.kernel, c.masked)) {
    state.SkipWithError("wrong result");
    return;
  }
  for (auto _ : state) operands.run(ctx, c.kernel, c.masked);
  count(state, static_cast<double>(local_density_flops(c.s)), peaks);
}

/// Times the preparation in training: the metrics (covariances and inverses) or the norms.
void bench_prepare(benchmark::State& state, Context& ctx, bool metric) {
  Operands o(ctx, kCases[0].s);
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
  std::printf("FMA peak %.0f GFLOP/s, copy peak %.0f GB/s\n", peaks.fma_flops * 1e-9,
              peaks.copy_bytes * 1e-9);
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
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
