// The four peaks of this GPU: copying, fp32 multiply-adds, TF32 and bfloat16 products. The shares
// of a roofline in the tables are shares of these. TF32 and bfloat16 also have a row of cuBLASLt's
// product of 8192^3, so that a peak does not depend on our kernels alone.
#include "bench/gpu/device_ops.h"
#include "bench/gpu/harness.h"
#include "bench/gpu/peak_kernels.h"
#include "kernels/random/random.h"

namespace assay::bench {
namespace {

/// FLOP/s or byte/s of the fastest of the rounds.
double best_rate(benchmark::State& state, Bench& bench, const std::function<double()>& launch) {
  double work = 0, min_us = 0;
  const Timer::Recording recording =
      bench.timer.record([&](int) { work = launch(); }, real_device() ? 4 : 1, 1);
  for (auto _ : state) {
    const double us = bench.timer.warm(recording);
    if (min_us == 0 || us < min_us) min_us = us;
    state.SetIterationTime(us * 1e-6);
  }
  return work / (min_us * 1e-6);
}

void copy(benchmark::State& state, Bench& bench, Row& row) {
  const int64_t bytes = real_device() ? int64_t{1} << 30 : 1 << 12;  // far beyond the L2 cache
  const Scratch from(bench.ctx, static_cast<size_t>(bytes)),
      to(bench.ctx, static_cast<size_t>(bytes));
  random_uniform<float>(bench.ctx, 1, 0, bytes / 4, -1, 1, from.as<float>());
  row["peak"] = "copy";
  row["unit"] = "B/s";
  row["rate"] = best_rate(
      state, bench, [&] { return copy_peak(bench.ctx, from.as<void>(), to.as<void>(), bytes); });
}

void arithmetic(benchmark::State& state, Bench& bench, Row& row, const char* peak,
                double (*launch)(Context&, float*)) {
  const Scratch sink(bench.ctx, sizeof(float));
  row["peak"] = peak;
  row["unit"] = "FLOP/s";
  row["rate"] = best_rate(state, bench, [&] { return launch(bench.ctx, sink.as<float>()); });
}

void library(benchmark::State& state, Bench& bench, Row& row, const char* peak,
             Precision precision) {
  row["peak"] = peak;
  row["unit"] = "FLOP/s";
  if (!bench.blas) {
    row["skipped"] = "no cuBLAS in this build";
    for (auto _ : state) state.SetIterationTime(1e-6);
    return;
  }
  constexpr int n = 8192;
  const GemmShape s{n, n, n};
  const int64_t elements = int64_t{n} * n;
  const Scratch a(bench.ctx, elements * 4), b(bench.ctx, elements * 4), c(bench.ctx, elements * 4);
  const Extent extent{1, 1, n, n};
  for (const Scratch* operand : {&a, &b}) {
    random_uniform<float>(bench.ctx, 1, operand == &a, elements, -1, 1, c.as<float>());
    convert(bench.ctx, {c.as<void>(), extent},
            {operand->as<void>(), extent, math_mode(precision).element});
  }
  const auto plans = bench.blas->gemm(s, 1, math_mode(precision), 1);
  ASSAY_CHECK(!plans.empty(), "cuBLASLt has no algorithm for 8192^3");
  row["base"] = bench.blas->name();
  row["rate"] = best_rate(state, bench, [&] {
    plans[0].run(a.as<void>(), b.as<void>(), c.as<void>());
    return 2.0 * n * n * n;
  });
}

std::vector<Cell> cells(const Settings&) {
  const auto own = [](const char* name, const char* peak, double (*launch)(Context&, float*)) {
    return Cell{name,
                [=](benchmark::State& s, Bench& b, Row& r) { arithmetic(s, b, r, peak, launch); }};
  };
  const auto theirs = [](const char* name, const char* peak, Precision p) {
    return Cell{name, [=](benchmark::State& s, Bench& b, Row& r) { library(s, b, r, peak, p); }};
  };
  return {
      {"peaks/copy", copy},
      own("peaks/fp32/fma", "fp32", fma_peak),
      own("peaks/tf32/mma", "tf32", [](Context& c, float* s) { return mma_peak(c, false, s); }),
      {"peaks/tf32/wgmma",
       [](benchmark::State& state, Bench& bench, Row& row) {
         if (cuda::compute_capability() == 90)
           return arithmetic(state, bench, row, "tf32", wgmma_peak);
         row["skipped"] = "needs compute capability 9.0";
         for (auto _ : state) state.SetIterationTime(1e-6);
       }},
      own("peaks/bf16/mma", "bf16", [](Context& c, float* s) { return mma_peak(c, true, s); }),
      theirs("peaks/fp32/cublas", "fp32", Precision::fp32),
      theirs("peaks/tf32/cublas", "tf32", Precision::tf32),
      theirs("peaks/bf16/cublas", "bf16", Precision::bf16),
  };
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
