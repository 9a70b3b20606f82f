#include "bench/peaks.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "kernels/gemm/tile.h"

namespace assay::bench {
namespace {

template <class F>
double best_seconds(int rounds, const F& f) {
  double best = 1e30;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace

Peaks measure_peaks(Context& ctx) {
  const int threads = ctx.threads->threads();
  constexpr int kDepth = 64, kRepeats = 20000;
  constexpr int64_t kRows = 84;  // a multiple of every register tile
  const int width = ASSAY_ISA_CALL(panel_width, 1 << 20);
  std::vector<float> panel(static_cast<size_t>(kDepth * width), 0.5f), rows(kRows * kDepth, 0.25f);
  std::vector<int64_t> from(kRows), to(kRows);
  for (int64_t m = 0; m < kRows; ++m) {
    from[static_cast<size_t>(m)] = m * kDepth;
    to[static_cast<size_t>(m)] = m * width;
  }
  const double fma = best_seconds(10, [&] {
    parallel_for(ctx, threads, [&](int64_t) {
      std::vector<float> out(static_cast<size_t>(kRows * width));
      const TileJob job{rows.data(), from.data(),  0,     kRows, 1,
                        kDepth,      panel.data(), width, width, nullptr,
                        out.data(),  to.data(),    false};
      for (int i = 0; i < kRepeats / 10; ++i) ASSAY_ISA_CALL(tile_product, job);
    });
  });
  constexpr size_t kBytes = size_t{256} << 20;
  std::vector<char> a(kBytes, 1), b(kBytes, 2);
  const double copy = best_seconds(5, [&] {
    parallel_for(ctx, threads, [&](int64_t part) {
      const size_t share = kBytes / static_cast<size_t>(threads);
      std::memcpy(b.data() + static_cast<size_t>(part) * share,
                  a.data() + static_cast<size_t>(part) * share, share);
    });
  });
  return {2.0 * kRows * kDepth * width * (kRepeats / 10) * threads / fma, 2.0 * kBytes / copy};
}

}  // namespace assay::bench
