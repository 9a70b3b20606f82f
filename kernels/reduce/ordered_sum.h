// Sums over threads in a fixed order: each part of the range has a slot, and the slots are added in
// order when all are done. The parts depend on the shape alone.
#pragma once

#include <algorithm>

#include "kernels/runtime/context.h"

namespace assay::cpu {

/// The sum of part(begin, end), a double, over the blocks of [0, n).
template <class F>
double ordered_sum(Context& ctx, int64_t n, int64_t grain, const F& part) {
  const int64_t parts = (n + grain - 1) / grain;
  const Scratch scratch(ctx, parts * sizeof(double));
  double* sums = scratch.as<double>();
  parallel_blocks(ctx, n, grain,
                  [&](int64_t begin, int64_t end) { sums[begin / grain] = part(begin, end); });
  double total = 0;
  for (int64_t i = 0; i < parts; ++i) total += sums[i];
  return total;
}

/// ordered_sum for `width` sums at once: part(begin, end, sums) adds to sums (width), 0 at first.
class OrderedVectorSum {
 public:
  template <class F>
  OrderedVectorSum(Context& ctx, int64_t n, int64_t grain, int64_t width, const F& part)
      : sums_(ctx, std::max<int64_t>(1, (n + grain - 1) / grain) * width * sizeof(double)) {
    double* all = sums_.as<double>();  // (parts, width)
    std::fill_n(all, width, 0.0);
    parallel_blocks(ctx, n, grain, [&](int64_t begin, int64_t end) {
      double* mine = all + begin / grain * width;
      std::fill_n(mine, width, 0.0);
      part(begin, end, mine);
    });
    for (int64_t i = 1; i < (n + grain - 1) / grain; ++i)
      for (int64_t k = 0; k < width; ++k) all[k] += all[i * width + k];
  }
  double operator[](int64_t k) const { return sums_.as<double>()[k]; }

 private:
  Scratch sums_;
};

}  // namespace assay::cpu
