#include "kernels/loss/loss_simd.h"

#include "kernels/loss/loss_formula.h"
#include "kernels/runtime/simd_loop.h"

namespace assay::cpu::ASSAY_ISA {
namespace {

// Elements that are summed in float; the sums of blocks are added in double.
constexpr int64_t kBlock = 512;

/// The sum of f(begin, count) over blocks of [0, n).
template <class F>
ASSAY_INLINE double sum_blocks(int64_t n, const F& f) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock)
    total += static_cast<double>(sum(f(begin, n - begin < kBlock ? n - begin : kBlock)));
  return total;
}

}  // namespace

double squared_error(int64_t n, const float* x, const float* t, float scale, float* dx) {
  return sum_blocks(n, [&](int64_t begin, int64_t count) {
    vf squares{};
    for_each_register(count, [&](auto at) {
      const vf d = at.get(x + begin) - at.get(t + begin);
      squares += d * d;
      if (dx != nullptr) at.put(dx + begin, scale * d);
    });
    return squares;
  });
}

double bce_with_logits(int64_t n, float pos_weight, const float* x, const float* t, float scale,
                       float* dx) {
  const vf weight = broadcast(pos_weight);
  return sum_blocks(n, [&](int64_t begin, int64_t count) {
    vf losses{};
    for_each_register(count, [&](auto at) {
      const vf xi = at.get(x + begin), ti = at.get(t + begin);
      const vf e = exp(-absolute(xi));
      losses +=
          at.zero_rest(bce_value(xi, ti, weight, log1p_of_unit(e), select(xi < 0.0f, -xi, vf{})));
      const vf sigmoid_negated = select(xi > 0.0f, e, broadcast(1.0f)) / (1.0f + e);
      if (dx != nullptr) at.put(dx + begin, scale * bce_slope(sigmoid_negated, ti, weight));
    });
    return losses;
  });
}

}  // namespace assay::cpu::ASSAY_ISA
