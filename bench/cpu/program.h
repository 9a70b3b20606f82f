// What the programs in bench/cpu on Google Benchmark share: counters of a row, and the run.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/runtime/peaks.h"

namespace assay::bench {

/// FLOP/s of a row and its share of the machine's measured peak.
inline void count_flops(benchmark::State& state, double flops, const Peaks& peaks) {
  using benchmark::Counter;
  state.counters["FLOP/s"] = Counter(flops, Counter::kIsIterationInvariantRate);
  state.counters["of_FMA_peak"] =
      Counter(flops / peaks.fma_flops, Counter::kIsIterationInvariantRate);
}

/// B/s of a row, where `bytes` is the least it must move, and its share of a copy's.
inline void count_bytes(benchmark::State& state, double bytes, const Peaks& peaks) {
  using benchmark::Counter;
  state.counters["B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate);
  state.counters["of_copy_peak"] =
      Counter(bytes / peaks.copy_bytes, Counter::kIsIterationInvariantRate);
}

inline void print_peaks(const Peaks& peaks) {
  std::printf("FMA peak %.0f GFLOP/s, copy peak %.0f GB/s\n", peaks.fma_flops * 1e-9,
              peaks.copy_bytes * 1e-9);
}

/// The value behind the argument `name`, both of which are taken out; `fallback` where there is
/// none.
inline std::string option(int& argc, char** argv, const std::string& name,
                          const std::string& fallback) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (name != argv[i]) continue;
    const std::string value = argv[i + 1];
    for (int j = i; j + 2 < argc; ++j) argv[j] = argv[j + 2];
    argc -= 2;
    return value;
  }
  return fallback;
}
inline int option(int& argc, char** argv, const std::string& name, int fallback) {
  return std::atoi(option(argc, argv, name, std::to_string(fallback)).c_str());
}

/// Runs the registered benchmarks by Google Benchmark's flags; the program's exit code.
inline int run_benchmarks(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace assay::bench
