// A detector's bank and queries for the benchmarks of the local density.
#pragma once

#include <vector>

#include "bench/density_check.h"
#include "bench/operands.h"

namespace assay::bench {

/// Bank, metric and queries of a detector, random.
struct DensityOperands {
  LocalDensityShape s;
  std::vector<float> features, queries, centre, metric, norms, scores;
  std::vector<int> query_image;

  DensityOperands(Context& ctx, const LocalDensityShape& shape)
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
  bool right(const LocalKernel& kernel, bool masked) const {
    return density_is_right(s, kernel, bank(), queries.data(),
                            masked ? query_image.data() : nullptr, scores.data());
  }
};

}  // namespace assay::bench
