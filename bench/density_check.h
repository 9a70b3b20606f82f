// Whether a local density is right: some of its scores against float64.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/local_density/local_density_ref.h"

namespace assay::bench {

/// Whether the first query of the first and of the last cell is within its bound. `all` are a bank
/// and scores in memory of the host; query_image may be null, bank.image is.
inline bool density_is_right(const LocalDensityShape& s, const LocalKernel& kernel,
                             const LocalBank<float>& all, const float* queries,
                             const int* query_image, const float* scores) {
  for (const int cell : {0, s.cells() - 1}) {
    const LocalDensityShape one{
        .height = 1, .width = 1, .radius = 0, .n = s.window() * s.n, .m = 1, .C = s.C};
    std::vector<float> window(static_cast<size_t>(one.C) * one.n), norm(one.n), query(s.C);
    std::vector<int> image(one.n);
    for (int k = 0; k < s.window(); ++k)
      for (int i = 0; i < s.n; ++i) {
        image[k * s.n + i] = i;
        for (int64_t c = 0; c < s.C; ++c)
          window[c * one.n + k * s.n + i] =
              all.features[(s.neighbour(cell, k) * int64_t{s.C} + c) * s.n + i];
      }
    for (int64_t c = 0; c < s.C; ++c) query[c] = queries[(int64_t{cell} * s.C + c) * s.m];
    const LocalBank<float> bank{window.data(), all.metric + int64_t{cell} * s.C * s.C,
                                all.centre + int64_t{cell} * s.C, norm.data(), image.data()};
    float want = 0;
    ref::local_density(one, kernel, bank, query.data(), query_image, &want);
    if (!(std::abs(scores[int64_t{cell} * s.m] - want) <=
          ref::local_density_bound(one, kernel, bank, query.data(), 0) + 1.2e-7 * std::abs(want)))
      return false;
  }
  return true;
}

}  // namespace assay::bench
