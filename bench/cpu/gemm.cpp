// Square products and the dense layers of our models. Verifies against float64, then times.
#include <benchmark/benchmark.h>

#include <cmath>

#include "bench/cpu/program.h"
#include "bench/operands.h"
#include "kernels/gemm/gemm_ref.h"

namespace assay::bench {
namespace {

void bench_gemm(benchmark::State& state, Context& ctx, const Peaks& peaks, const GemmShape& s) {
  const auto a = random_floats(int64_t{s.M} * s.K, 1), b = random_floats(int64_t{s.K} * s.N, 2);
  std::vector<float> c(static_cast<size_t>(int64_t{s.M} * s.N));
  const auto run = [&] { gemm<float>(ctx, s, {}, a.data(), b.data(), nullptr, c.data()); };
  run();
  // The first and last rows against the reference: the whole of a big product would take minutes.
  for (const int m : {0, s.M - 1})
    for (int n = 0; n < s.N; ++n) {
      double want = 0, scale = 0;
      for (int64_t k = 0; k < s.K; ++k) {
        const double product =
            static_cast<double>(s.transpose_a ? a[static_cast<size_t>(k * s.M + m)]
                                              : a[static_cast<size_t>(m * int64_t{s.K} + k)]) *
            (s.transpose_b ? b[static_cast<size_t>(n * int64_t{s.K} + k)]
                           : b[static_cast<size_t>(k * s.N + n)]);
        want += product;
        scale += std::abs(product);
      }
      if (!(std::abs(c[static_cast<size_t>(int64_t{m} * s.N + n)] - want) <=
            (s.K + 4) * 1.2e-7 * scale)) {
        state.SkipWithError("wrong result");
        return;
      }
    }
  for (auto _ : state) run();
  const auto flops = static_cast<double>(gemm_flops(s));
  const double bytes = 4.0 * (static_cast<double>(s.M) * s.K + static_cast<double>(s.K) * s.N +
                              static_cast<double>(s.M) * s.N);
  count_flops(state, flops, peaks);
  count_bytes(state, bytes, peaks);
}

struct Case {
  const char* name;
  GemmShape s;
};
const Case kCases[] = {
    {"square/256", {256, 256, 256}},
    {"square/512", {512, 512, 512}},
    {"square/1024", {1024, 1024, 1024}},
    {"cnn.fc/fprop", {32, 512, 576, false, true}},
    {"cnn.fc/dgrad", {32, 576, 512}},
    {"cnn.fc/wgrad", {512, 576, 32, true, false}},
    {"nicae.fc1/fprop", {32, 512, 256, false, true}},
    {"nicae.fc1/wgrad", {512, 256, 32, true, false}},
};

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  using namespace assay::bench;
  assay::CpuContext ctx;
  const assay::Peaks peaks = assay::measure_peaks(ctx);
  print_peaks(peaks);
  for (const Case& c : kCases)
    benchmark::RegisterBenchmark(
        c.name, [&](benchmark::State& state) { bench_gemm(state, ctx, peaks, c.s); })
        ->Unit(benchmark::kMicrosecond)
        ->UseRealTime();
  return run_benchmarks(argc, argv);
}
