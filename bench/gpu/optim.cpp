// Optimizers, timed alone because none of NVIDIA's libraries has them: stage `suites`.
#include "kernels/optim/optim.h"

#include <fmt/core.h>

#include "bench/gpu/buffers.h"

namespace assay::bench {
namespace {

void time_optimizer(benchmark::State& state, Bench& bench, Row& row, int64_t parameters,
                    bool adam) {
  row["base"] = "none: roofline only";
  row["mode"] = "fp32";
  row["flops"] = 0;
  row["bytes"] = (adam ? 28 : 20) * parameters;  // w, m, v read and written, dw read
  BufferedWork<Vectors> ours;
  ours.make = [&](int sets) {  // w, dw, m, v; none of them negative, as v must not be
    return std::make_unique<Vectors>(bench.ctx, std::vector<int64_t>(4, parameters), sets, 0.0f,
                                     1.0f);
  };
  ours.run = [&](const Vectors& v, int set) {
    const OptimSlot<float> slot{parameters, v.at(set, 0), v.at(set, 1),
                                adam ? v.at(set, 2) : nullptr, v.at(set, 3)};
    if (adam)
      adam_update<float>(bench.ctx, {}, {slot});
    else
      rmsprop_update<float>(bench.ctx, {}, {slot});
  };
  ours.buffers = ours.make(2);  // the second keeps what the first had
  ours.run(*ours.buffers, 0);
  const auto before = to_host(bench.ctx, ours.buffers->at(1, 0), parameters),
             after = to_host(bench.ctx, ours.buffers->at(0, 0), parameters);
  for (size_t i = 0; i < before.size(); ++i)  // a positive gradient lowers each weight
    ASSAY_CHECK(after[i] < before[i], "ours is wrong: weight {} did not fall", i);
  const auto mine = ours.prepare(bench, 16 * parameters);
  bench.compare(state, row, mine, nullptr);
}

std::vector<Cell> cells(const Settings&) {
  std::vector<int64_t> parameters = {5000};
  if (real_device()) parameters = {300'000, 1'000'000, 10'000'000, 100'000'000};
  std::vector<Cell> all;
  for (const int64_t n : parameters)
    for (const bool adam : {true, false})
      all.push_back({fmt::format("optimizers/{}/{}/fp32", n, adam ? "adam" : "rmsprop"),
                     [n, adam](benchmark::State& state, Bench& bench, Row& row) {
                       time_optimizer(state, bench, row, n, adam);
                     }});
  return all;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  return assay::bench::run_program(argc, argv, assay::bench::cells);
}
