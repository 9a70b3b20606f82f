#include "bench/gpu/gemm_baseline.h"

#include <cmath>

namespace assay::bench {
namespace {

BufferedWork<GemmBuffers> library_product(Bench& bench, const GemmShape& s, int batches,
                                          Element element, const GemmPlan& plan) {
  const int64_t a = int64_t{batches} * s.M * s.K, b = int64_t{batches} * s.K * s.N,
                c = int64_t{batches} * s.M * s.N;
  BufferedWork<GemmBuffers> candidate;
  candidate.make = [=, &bench](int sets) {
    auto buffers = std::unique_ptr<GemmBuffers>(new GemmBuffers{{bench.ctx, {a, b, c}, sets}, {}});
    if (element == Element::f32) return buffers;
    const std::vector<Extent> extents = {{batches, 1, s.M, s.K}, {batches, 1, s.K, s.N}};
    buffers->narrow = std::make_unique<TensorSets>(bench.ctx, extents, element, Layout::nhwc, sets);
    for (int set = 0; set < sets; ++set)
      for (size_t i = 0; i < 2; ++i)
        convert(bench.ctx, {buffers->fp32.at(set, i), extents[i]}, buffers->narrow->view(set, i));
    return buffers;
  };
  candidate.run = [plan](const GemmBuffers& v, int set) {
    if (v.narrow)
      plan.run(v.narrow->view(set, 0).data, v.narrow->view(set, 1).data, v.fp32.at(set, 2));
    else
      plan.run(v.fp32.at(set, 0), v.fp32.at(set, 1), v.fp32.at(set, 2));
  };
  return candidate;
}

}  // namespace

double gemm_error(Context& ctx, const GemmShape& s, const float* a, const float* b,
                  const float* c) {
  const auto ha = to_host(ctx, a, int64_t{s.M} * s.K), hb = to_host(ctx, b, int64_t{s.K} * s.N),
             hc = to_host(ctx, c, int64_t{s.M} * s.N);
  double difference = 0, norm = 0;
  for (const int m : {0, s.M / 2, s.M - 1})
    for (int n = 0; n < s.N; ++n) {
      double want = 0;
      for (int64_t k = 0; k < s.K; ++k)
        want +=
            double{ha[static_cast<size_t>(s.transpose_a ? k * s.M + m : int64_t{m} * s.K + k)]} *
            hb[static_cast<size_t>(s.transpose_b ? int64_t{n} * s.K + k : k * s.N + n)];
      const double d = hc[static_cast<size_t>(int64_t{m} * s.N + n)] - want;
      difference += d * d;
      norm += want * want;
    }
  const double error = std::sqrt(difference / norm);
  return std::isnan(error) ? INFINITY : error;
}

std::optional<BufferedWork<GemmBuffers>> best_product(Bench& bench, Row& row, const GemmShape& s,
                                                      int batches, Precision precision) {
  if (!bench.blas) {
    row["base"] = "none in this build";
    return std::nullopt;
  }
  row["base"] = bench.blas->name();
  const MathMode mode = math_mode(precision);
  std::optional<BufferedWork<GemmBuffers>> best;
  double min_us = 0;
  for (const GemmPlan& plan : bench.blas->gemm(s, batches, mode, bench.settings.max_plans)) try {
      bench.alive();
      BufferedWork<GemmBuffers> candidate = library_product(bench, s, batches, mode.element, plan);
      candidate.buffers = candidate.make(1);
      const auto run = [&](int set) { candidate.run(*candidate.buffers, set); };
      run(0);
      const Vectors& v = candidate.buffers->fp32;
      const double error = gemm_error(bench.ctx, s, v.at(0, 0), v.at(0, 1), v.at(0, 2));
      if (!(error <= max_gemm_error(precision))) continue;
      const Timer::Recording few = bench.timer.record(run, 4, 1);
      const double us =
          median({bench.timer.warm(few), bench.timer.warm(few), bench.timer.warm(few)});
      if (best && us >= min_us) continue;
      min_us = us;
      row["plan"] = plan.name;
      row["base_relative_error"] = error;
      candidate.buffers = nullptr;
      best = std::move(candidate);
    } catch (const DeviceError&) {
      throw;
    } catch (const Error&) {  // an algorithm that refuses
    }
  if (!best) row["base_error"] = "no algorithm runs and is accurate enough";
  return best;
}

}  // namespace assay::bench
