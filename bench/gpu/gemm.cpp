// Matrix products against the fastest of cuBLASLt's algorithms: stage `suites`.
#include <fmt/core.h>

#include "bench/gpu/gemm_baseline.h"
#include "kernels/gemm/algorithm.h"

namespace assay::bench {
namespace {

void compare_gemm(benchmark::State& state, Bench& bench, Row& row, const GemmShape& s,
                  Precision precision) {
  const auto size = static_cast<int64_t>(size_of(math_mode(precision).element));
  const int64_t a = int64_t{s.M} * s.K, b = int64_t{s.K} * s.N, c = int64_t{s.M} * s.N;
  row["mode"] = name_of(precision);
  row["flops"] = gemm_flops(s);
  row["bytes"] = size * (a + b) + 4 * c;
  bench.ctx.precision = precision;
  row["algorithm"] = gemm_algorithm(bench.ctx, s).name;
  BufferedWork<Vectors> ours;
  ours.make = [&](int sets) {
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{a, b, c}, sets);
  };
  ours.run = [&](const Vectors& v, int set) {
    gemm<float>(bench.ctx, s, {}, v.at(set, 0), Weights<float>(v.at(set, 1), 0), nullptr,
                v.at(set, 2));
  };
  const auto mine = ours.prepare(bench, 4 * (a + b + c));
  mine.work(0);
  const Vectors& v = *ours.buffers;
  const double error = gemm_error(bench.ctx, s, v.at(0, 0), v.at(0, 1), v.at(0, 2));
  row["relative_error"] = error;
  ASSAY_CHECK(error <= max_gemm_error(precision), "ours is wrong: relative error {:g}", error);
  auto best = best_product(bench, row, s, 1, precision);
  if (!best) return bench.compare(state, row, mine, nullptr);
  const auto theirs = best->prepare(bench, 4 * (a + b + c));
  bench.compare(state, row, mine, &theirs);
}

std::vector<Cell> cells(const Settings& settings) {
  const int N = settings.batch;
  std::vector<std::pair<std::string, GemmShape>> products = {
      {"cnn.fc1-fprop", {N, 512, 576, false, true}},
      {"cnn.fc1-dgrad", {N, 576, 512}},
      {"cnn.fc1-wgrad", {512, 576, N, true, false}},
      {"nicae.fc1-fprop", {N, 512, 256, false, true}},
      {"nicae.fc1-wgrad", {512, 256, N, true, false}}};
  if (real_device())
    for (const int n : {512, 1024, 2048, 4096, 8192})
      products.push_back({fmt::format("square-{}", n), {n, n, n}});
  std::vector<Cell> all;
  for (const auto& [name, s] : products)
    for (const Precision p : kModes)
      all.push_back({fmt::format("gemm/{}/product/{}", name, name_of(p)),
                     [s = s, p](benchmark::State& state, Bench& bench, Row& row) {
                       compare_gemm(state, bench, row, s, p);
                     }});
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
