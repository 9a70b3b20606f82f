#include "kernels/runtime/peaks.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "kernels/runtime/isa.h"

namespace assay {
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

constexpr int kChains =
    12;  // more than latency times multiply-adds per cycle, and all in registers
constexpr int64_t kSteps = 200'000;

template <int kLanes>
struct Vector {
  typedef float type __attribute__((vector_size(kLanes * 4)));
};

// Returns a number that depends on the result, so that the compiler cannot remove the work.
template <int kLanes>
__attribute__((always_inline)) inline float multiply_add_chains() {
  using V = typename Vector<kLanes>::type;
  V chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = V{} + static_cast<float>(i);
  V factor = V{} + 0.999f, summand = V{} + 0.5f;
  for (int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = chain[i] * factor + summand;
  }
  V sum = chain[0];
  for (int i = 1; i < kChains; ++i) sum += chain[i];
  return sum[0];
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) float chains_avx512() {
  return multiply_add_chains<16>();
}
__attribute__((target("avx2,fma"))) float chains_avx2() {
  return multiply_add_chains<8>();
}
#endif
float chains_portable() {
  return multiply_add_chains<4>();
}

struct Chains {
  float (*run)();
  int lanes;
};

Chains chains_of(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return {chains_avx512, 16};
  if (isa == Isa::avx2) return {chains_avx2, 8};
#endif
  (void)isa;
  return {chains_portable, 4};
}

}  // namespace

Peaks measure_peaks(Context& ctx) {
  const int threads = ctx.threads->threads();
  const Chains chains = chains_of(active_isa());
  std::vector<float> results(static_cast<size_t>(threads));
  const double fma = best_seconds(100, [&] {
    parallel_for(ctx, threads,
                 [&](int64_t part) { results[static_cast<size_t>(part)] = chains.run(); });
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
  return {2.0 * kChains * kSteps * chains.lanes * threads / fma, 2.0 * kBytes / copy};
}

}  // namespace assay
