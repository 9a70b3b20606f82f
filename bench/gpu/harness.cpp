#include "bench/gpu/harness.h"

#include <fmt/core.h>
#include <unistd.h>  // isatty

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>

#include "kernels/conv2d/algorithm.h"

namespace assay::bench {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void print(const Row& row) {
  std::cout << row.dump() << std::endl;
}

/// Takes `name VALUE` out of the command line; nullptr if it is not there.
const char* take(int& argc, char** argv, const std::string& name, bool has_value = true) {
  const int width = has_value ? 2 : 1;
  for (int i = 1; i + width <= argc; ++i) {
    if (name != argv[i]) continue;
    const char* value = argv[i + width - 1];
    for (int j = i; j + width < argc; ++j) argv[j] = argv[j + width];
    argc -= width;
    return value;
  }
  return nullptr;
}

Settings parse(int& argc, char** argv) {
  Settings s;
  if (const char* v = take(argc, argv, "--batch")) s.batch = std::atoi(v);
  if (const char* v = take(argc, argv, "--rounds")) s.rounds = std::atoi(v);
  if (const char* v = take(argc, argv, "--max-plans")) s.max_plans = std::atoi(v);
  if (const char* v = take(argc, argv, "--plan-seconds")) s.plan_seconds = std::atof(v);
  if (const char* v = take(argc, argv, "--seconds")) s.seconds = std::atof(v);
  if (const char* v = take(argc, argv, "--plans")) s.plans = v;
  if (const char* v = take(argc, argv, "--algo"))
    s.algo = conv2d_algorithm_from_name(Device::cuda(), v);
  s.exhaustive = take(argc, argv, "--exhaustive", false) != nullptr;
  ASSAY_CHECK_AS(UsageError, s.batch >= 1 && s.rounds >= 1 && s.max_plans >= 1,
                 "--batch, --rounds and --max-plans must be at least 1");
  return s;
}

std::set<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  ASSAY_CHECK_AS(UsageError, file.good(), "--cells: cannot read '{}'", path);
  std::set<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.insert(line);
  return lines;
}

void write_samples(Row& row, const std::string& who, const Samples& samples) {
  row[who + "_us"] = median(samples.cold);
  row[who + "_p10_us"] = quantile(samples.cold, 0.1);
  row[who + "_p90_us"] = quantile(samples.cold, 0.9);
  row[who + "_warm_us"] = median(samples.warm);
}

std::vector<double> ratios(const std::vector<double>& theirs, const std::vector<double>& ours) {
  std::vector<double> r;
  for (size_t i = 0; i < ours.size(); ++i) r.push_back(theirs[i] / ours[i]);
  return r;
}

}  // namespace

int cold_launches(int launches, int64_t bytes) {
  constexpr int64_t kMemory = int64_t{8} << 30;  // bytes for the buffer sets of one side
  if (!real_device()) return 1;
  return static_cast<int>(std::clamp<int64_t>(kMemory / std::max<int64_t>(bytes, 1), 1, launches));
}

Bench::Bench(const Settings& s)
    : settings(s),
      ctx(cuda.get()),
      timer(ctx),
      dnn(open_dnn(ctx.stream)),
      blas(open_blas(ctx.stream)) {
  ctx.algorithm = s.algo;
  std::ifstream file(s.plans);
  for (std::string line; std::getline(file, line);) {
    const Row row = Row::parse(line, nullptr, false);
    // Another version of the library has other plans under the same names.
    if (row.is_object() && row.contains("key") && row.contains("plan") && dnn &&
        row.value("base", "") == dnn->name())
      plans_[row["key"]] = row["plan"];
  }
  timer.wake();
}

std::string Bench::remembered(const std::string& key) const {
  const auto found = plans_.find(key);
  return found == plans_.end() || settings.exhaustive ? "" : found->second;
}
void Bench::remember(const std::string& key, const std::string& plan) {
  plans_[key] = plan;
}

void Bench::alive() {
  constexpr double kSeconds = 5;
  if (now() - last_sign_ < kSeconds) return;
  last_sign_ = now();
  print({{"alive", true}});
}

void Bench::compare(benchmark::State& state, Row& row, const Side& ours, const Side* theirs) {
  struct Recorded {
    Timer::Recording warm, cold;
    Samples samples;
  };
  const auto prepare = [&](const Side& c) {
    return Recorded{timer.record(c.work, c.launches, 1),
                    timer.record(c.work, c.cold_launches, c.cold_launches),
                    {}};
  };
  Recorded a = prepare(ours);
  std::optional<Recorded> b;
  if (theirs != nullptr) b.emplace(prepare(*theirs));
  const auto sample = [&](Recorded& side) {
    alive();
    side.samples.cold.push_back(timer.cold(side.cold));
    side.samples.warm.push_back(timer.warm(side.warm));
  };
  for (auto _ : state) {
    sample(a);
    if (b) sample(*b), sample(*b);
    sample(a);
    const auto& cold = a.samples.cold;
    state.SetIterationTime((cold[cold.size() - 2] + cold.back()) / 2 * 1e-6);
  }
  write_samples(row, "ours", a.samples);
  row["samples"] = a.samples.cold.size();
  if (!b) return;
  write_samples(row, "base", b->samples);
  const std::vector<double> r = ratios(b->samples.cold, a.samples.cold);
  row["ratio"] = median(b->samples.cold) / median(a.samples.cold);
  row["ratio_p10"] = quantile(r, 0.1);
  row["ratio_p90"] = quantile(r, 0.9);
  row["ratio_warm"] = median(b->samples.warm) / median(a.samples.warm);
}

namespace {

/// Runs one cell; false where the device is lost, and with it the process.
bool run_cell(benchmark::State& state, Bench& bench, const Cell& cell) {
  print({{"begin", cell.name}});
  Row row = {{"cell", cell.name}};
  if (!real_device()) row["emulated"] = "times mean nothing";
  const double start = now();
  bool lost = false;
  try {
    cell.measure(state, bench, row);
  } catch (const std::exception& e) {
    row["error"] = e.what();
  }
  if (row.contains("error")) {
    state.SkipWithError(row["error"].get<std::string>().c_str());
    // After an error in a kernel every later call fails.
    try {
      synchronize(bench.ctx);
    } catch (const Error&) {
      lost = true;
    }
  }
  row["seconds"] = now() - start;
  print(row);
  return !lost;
}

}  // namespace

int run_program(int argc, char** argv,
                const std::function<std::vector<Cell>(const Settings&)>& cells) try {
  const Settings settings = parse(argc, argv);
  std::optional<std::set<std::string>> wanted;
  if (const char* path = take(argc, argv, "--cells")) wanted = lines_of(path);
  const bool list = take(argc, argv, "--list", false) != nullptr;
  std::optional<Bench> bench;
  const double start = now();
  for (Cell& cell : cells(settings)) {
    // Each algorithm has rows of its own, so that they stand side by side in the results.
    if (settings.algo != Algorithm::automatic)
      cell.name += fmt::format("/{}", name_of(settings.algo));
    if (wanted && !wanted->contains(cell.name)) continue;
    if (list) std::cout << cell.name << '\n';
    benchmark::RegisterBenchmark(cell.name.c_str(),
                                 [&, cell](benchmark::State& state) {
                                   if (settings.seconds > 0 && now() - start > settings.seconds)
                                     return state.SkipWithError("out of time");
                                   if (!bench) bench.emplace(settings);
                                   if (!run_cell(state, *bench, cell))
                                     std::_Exit(70);  // destructors would only fail again
                                 })
        ->UseManualTime()
        ->Iterations(settings.rounds)
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (list) return 0;
  benchmark::ConsoleReporter reporter(isatty(2) != 0 ? benchmark::ConsoleReporter::OO_Defaults
                                                     : benchmark::ConsoleReporter::OO_None);
  reporter.SetOutputStream(&std::cerr);
  reporter.SetErrorStream(&std::cerr);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
} catch (const UsageError& e) {
  std::cerr << e.what() << '\n';
  return 2;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}

}  // namespace assay::bench
