// Kernel densities, of one bank and of one bank per place: stage `suites`. The baseline is
// cuBLASLt's product (or batch of products) of the same size alone, which is less work than a
// density: it neither forms distances nor sums exponentials or takes a minimum.
#include <fmt/core.h>

#include <cmath>

#include "bench/density_check.h"
#include "bench/gpu/gemm_baseline.h"
#include "kernels/kde/kde_ref.h"

namespace assay::bench {
namespace {

void compare_kde(benchmark::State& state, Bench& bench, Row& row, const KdeShape& s,
                 Precision precision) {
  // The bandwidth at which neighbours matter: log p moves by some nats.
  const double h = std::sqrt(s.D / 3.0) / 4;
  const int64_t train = int64_t{s.n} * s.D, queries = int64_t{s.m} * s.D;
  row["mode"] = name_of(precision);
  row["flops"] = int64_t{2} * s.n * s.m * s.D;
  row["bytes"] = 4 * (train + queries) + 8 * int64_t{s.m};
  bench.ctx.precision = precision;
  BufferedWork<Vectors> ours;
  ours.make = [&](int sets) {
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>{train, queries, 2 * s.m},
                                     sets);
  };
  ours.run = [&](const Vectors& v, int set) {
    kde_log_density<float>(bench.ctx, s, h, v.at(set, 0), v.at(set, 1),
                           reinterpret_cast<double*>(v.at(set, 2)));
  };
  const auto mine = ours.prepare(bench, row["bytes"]);
  mine.work(0);
  const Vectors& v = *ours.buffers;
  constexpr int kChecked = 4;  // queries
  bench.alive();
  std::vector<double> want(kChecked);
  const auto x = to_host(bench.ctx, v.at(0, 0), train), y = to_host(bench.ctx, v.at(0, 1), queries);
  ref::kde_log_density<float>({s.n, kChecked, s.D}, h, x.data(), y.data(), want.data());
  const auto got =
      to_host(bench.ctx, reinterpret_cast<const double*>(v.at(0, 2)), int64_t{kChecked});
  double nats = 0;
  for (int i = 0; i < kChecked; ++i)
    nats = std::max(nats, std::abs(got[static_cast<size_t>(i)] - want[static_cast<size_t>(i)]));
  row["error_nats"] = nats;
  ASSAY_CHECK(nats <= (precision == Precision::tf32 ? 0.5 : 0.05), "ours is wrong: {:g} nats",
              nats);
  const GemmShape product{s.m, s.n, s.D, false, true};
  auto best = best_product(bench, row, product, 1, precision);
  if (!best) return bench.compare(state, row, mine, nullptr);
  row["plan"] = "only the product: " + row["plan"].get<std::string>();
  const auto theirs = best->prepare(bench, 4 * (train + queries + int64_t{s.m} * s.n));
  bench.compare(state, row, mine, &theirs);
}

void compare_local(benchmark::State& state, Bench& bench, Row& row, const LocalDensityShape& s,
                   Precision precision) {
  const int64_t cells = s.cells();
  const std::vector<int64_t> lengths = {cells * s.C * s.n,        cells * s.C * s.C, cells * s.C,
                                        cells * s.window() * s.n, cells * s.C * s.m, cells * s.m};
  int64_t bytes = 0;
  for (const int64_t length : lengths) bytes += 4 * length;
  row["mode"] = name_of(precision);
  row["flops"] = local_density_flops(s);
  row["bytes"] = bytes;
  bench.ctx.precision = precision;
  BufferedWork<Vectors> ours;
  const auto bank = [](const Vectors& v, int set) {
    return LocalBank<float>{v.at(set, 0), v.at(set, 1), v.at(set, 2), v.at(set, 3)};
  };
  ours.make = [&](int sets) {
    auto v = std::make_unique<Vectors>(bench.ctx, lengths, sets);
    for (int set = 0; set < sets; ++set) {
      local_metric<float>(bench.ctx, s, 1, v->at(set, 0), v->at(set, 2), v->at(set, 1));
      local_bank_norms<float>(bench.ctx, s, v->at(set, 0), v->at(set, 1), v->at(set, 2),
                              v->at(set, 3));
    }
    return v;
  };
  ours.run = [&](const Vectors& v, int set) {
    local_density<float>(bench.ctx, s, {}, bank(v, set), v.at(set, 4), nullptr, v.at(set, 5));
  };
  const auto mine = ours.prepare(bench, bytes);
  mine.work(0);
  std::vector<std::vector<float>> host;
  for (size_t i = 0; i < lengths.size(); ++i)
    host.push_back(to_host(bench.ctx, ours.buffers->at(0, i), lengths[i]));
  ASSAY_CHECK(
      density_is_right(s, {}, {host[0].data(), host[1].data(), host[2].data(), host[3].data()},
                       host[4].data(), nullptr, host[5].data()),
      "ours is wrong: a score is outside of its bound");
  const GemmShape product{s.m, s.window() * s.n, s.C, true, false};
  auto best = best_product(bench, row, product, s.cells(), precision);
  if (!best) return bench.compare(state, row, mine, nullptr);
  row["plan"] = "only the products: " + row["plan"].get<std::string>();
  const auto theirs = best->prepare(
      bench, 4 * cells * (int64_t{s.m} * s.C + int64_t{product.N} * (s.C + int64_t{s.m})));
  bench.compare(state, row, mine, &theirs);
}

std::vector<Cell> cells(const Settings&) {
  std::vector<KdeShape> densities = {{40, 24, 32}};
  if (real_device()) densities = {{1000, 200, 8192}, {10000, 1000, 8192}, {50000, 10000, 8192}};
  std::vector<Cell> all;
  for (const KdeShape& s : densities)
    for (const Precision p : {Precision::fp32, Precision::tf32x3, Precision::tf32})
      all.push_back({fmt::format("kde/{}x{}x{}/density/{}", s.n, s.m, s.D, name_of(p)),
                     [s, p](benchmark::State& state, Bench& bench, Row& row) {
                       compare_kde(state, bench, row, s, p);
                     }});
  std::vector<LocalDensityShape> places = {{2, 3, 1, 5, 3, 7}};
  if (real_device()) places = {{32, 32, 1, 210, 83, 81}, {32, 32, 1, 210, 32, 81}};
  for (const LocalDensityShape& s : places)
    for (const Precision p : {Precision::fp32, Precision::tf32x3})
      all.push_back({fmt::format("kde/local-{}x{}-{}x{}x{}/nearest/{}", s.height, s.width, s.n, s.m,
                                 s.C, name_of(p)),
                     [s, p](benchmark::State& state, Bench& bench, Row& row) {
                       compare_local(state, bench, row, s, p);
                     }});
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
