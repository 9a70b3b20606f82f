// The detector's density beside oneDNN's batched matrix product of the same size, in turns.
//
//   bench_onednn_density [--rounds N] [--threads N]
//
// oneDNN's threads are OpenMP's: set OMP_NUM_THREADS to the same number. oneDNN gets the window of
// each cell gathered and transformed (627 MB), and neither adds norms nor takes a minimum; ours
// reads the bank once and its time includes both. Prints one JSON object.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "bench/baselines/onednn.h"
#include "bench/cpu/density_operands.h"
#include "bench/cpu/turns.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/isa.h"
#include "kernels/runtime/peaks.h"

namespace assay::bench {
namespace {

constexpr LocalDensityShape kBottle{32, 32, 1, 210, 83, 81};

/// The fastest of a few numbers of products at once.
OnednnKernel fastest_products(const LocalDensityShape& s) {
  std::optional<OnednnKernel> best;
  double min_ms = 0;
  for (const int at_once : {1, 4, 16, 64}) {
    const OnednnKernel kernel = onednn_products(s.cells(), at_once, s.m, s.window() * s.n, s.C);
    const double ms = std::min(time_of(kernel.run), time_of(kernel.run));
    if (best && ms >= min_ms) continue;
    min_ms = ms;
    best = kernel;
  }
  return *best;
}

int run(int rounds, int threads) {
  CpuContext ctx(threads);
  const Peaks peaks = measure_peaks(ctx);
  const LocalKernel kernel{};
  DensityOperands ours(ctx, kBottle);
  ours.run(ctx, kernel, false);
  if (!ours.right(kernel, false)) {
    std::fprintf(stderr, "bench_onednn_density: wrong result\n");
    return 1;
  }
  const OnednnKernel baseline = fastest_products(kBottle);
  std::vector<double> our_ms, baseline_ms;
  for (int i = 0; i < rounds; ++i) {
    our_ms.push_back(time_of([&] { ours.run(ctx, kernel, false); }));
    baseline_ms.push_back(time_of(baseline.run));
  }
  std::printf(
      "{\"case\":\"bottle_test/nearest\",\"threads\":%d,\"ours_ms\":%s,\"baseline_ms\":%s,"
      "\"baseline_kernel\":\"%s\",\"flops\":%.0f,\"fma_flops\":%.4g,\"isa\":\"%s\","
      "\"onednn\":\"%s\"}\n",
      threads, list_of(our_ms).c_str(), list_of(baseline_ms).c_str(), baseline.name.c_str(),
      static_cast<double>(local_density_flops(kBottle)), peaks.fma_flops, name_of(active_isa()),
      onednn_version().c_str());
  return 0;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  int rounds = 7, threads = assay::available_threads();
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const int value = i + 1 < argc ? std::atoi(argv[i + 1]) : 0;
    if ((name != "--rounds" && name != "--threads") || value < 1) {
      std::fprintf(stderr, "usage: bench_onednn_density [--rounds N] [--threads N]\n");
      return 2;
    }
    (name == "--rounds" ? rounds : threads) = value;
  }
  try {
    return assay::bench::run(rounds, threads);
  } catch (const assay::Error& error) {
    std::fprintf(stderr, "bench_onednn_density: %s\n", error.what());
    return 1;
  }
}
