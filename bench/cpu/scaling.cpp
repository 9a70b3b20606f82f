// How a step would scale to more threads than this machine has, by simulation.
//
//   bench_scaling [--rounds N] > table.md
//
// One thread runs a step several times and times every part of every parallel job; the shortest
// time of a part counts, because other programs lengthen the rest. n threads are then simulated:
// each takes the next part of a job when it is free, as the thread pool does, a job ends with a
// barrier, and what lies between jobs is serial. Measured times of one and two threads stand beside
// the simulated ones. The simulation knows nothing of shared caches and of the memory's bandwidth:
// a column says how much the step would move at least.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <queue>
#include <string>
#include <vector>

#include "bench/training_step.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/parallel.h"

namespace assay::bench {
namespace {

constexpr int kSimulated[] = {1, 2, 8, 32, 96};

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class F>
double seconds_of(const F& f) {
  const double begin = seconds_now();
  f();
  return seconds_now() - begin;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// A step as one thread ran it.
struct Recording {
  std::vector<RecordedJob> jobs;
  double serial = 0;  ///< seconds outside of parts

  double seconds() const {
    double sum = serial;
    for (const RecordedJob& job : jobs)
      for (const double part : job.parts) sum += part;
    return sum;
  }
  /// Keeps the shorter of both times of everything.
  void shorten(const Recording& other) {
    ASSAY_CHECK(jobs.size() == other.jobs.size(), "bench_scaling: two steps have different jobs");
    serial = std::min(serial, other.serial);
    for (size_t i = 0; i < jobs.size(); ++i)
      for (size_t part = 0; part < jobs[i].parts.size(); ++part)
        jobs[i].parts[part] = std::min(jobs[i].parts[part], other.jobs[i].parts.at(part));
  }
};

template <class F>
Recording record_once(ThreadPool& pool, const F& step) {
  Recording recording;
  pool.record(&recording.jobs);
  const double seconds = seconds_of(step);
  pool.record(nullptr);
  recording.serial = seconds - recording.seconds();
  return recording;
}

template <class F>
Recording record(ThreadPool& pool, const F& step, int rounds) {
  Recording shortest = record_once(pool, step);
  for (int i = 1; i < rounds; ++i) shortest.shorten(record_once(pool, step));
  return shortest;
}

/// When the last of `threads` ends that take the parts in order.
double makespan(const std::vector<double>& parts, int threads) {
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (int i = 0; i < threads; ++i) free_at.push(0);
  double last = 0;
  for (const double part : parts) {
    const double end = free_at.top() + part;
    free_at.pop();
    free_at.push(end);
    last = std::max(last, end);
  }
  return last;
}

double simulated(const Recording& step, int threads, double barrier) {
  double seconds = step.serial;
  for (const RecordedJob& job : step.jobs) {
    seconds += makespan(job.parts, threads);
    if (threads > 1 && job.parts.size() > 1) seconds += barrier;
  }
  return seconds;
}

/// Seconds that a job of two threads takes beyond its parts.
double barrier_of_two() {
  CpuContext ctx(2);
  std::vector<double> rounds;
  for (int round = 0; round < 21; ++round)
    rounds.push_back(seconds_of([&] {
                       for (int i = 0; i < 200; ++i) parallel_for(ctx.get(), 2, [](int64_t) {});
                     }) /
                     200);
  return median(rounds);
}

void print_row(const std::string& preset, int64_t batch, bool training, int rounds,
               double barrier) {
  const auto measured = [&](int threads, Recording* recording) {
    CpuContext ctx(threads);
    const ContextScope scope(ctx);
    BenchStep step(preset, batch);
    const auto run = [&] { step.run(training); };
    for (int i = 0; i < 3; ++i) run();
    if (recording != nullptr) *recording = record(*ctx.get().threads, run, rounds);
    std::vector<double> seconds;
    for (int i = 0; i < rounds; ++i) seconds.push_back(seconds_of(run));
    return median(seconds);
  };
  Recording recording;
  const double one = measured(1, &recording), two = measured(2, nullptr);
  size_t barriers = 0, parts = 0;
  for (const RecordedJob& job : recording.jobs) {
    barriers += job.parts.size() > 1;
    parts += job.parts.size();
  }
  double bytes = 0;
  for (const LayerRow& row : make_network(preset)->table(batch))
    bytes += static_cast<double>(row.min_bytes) * (training ? 3 : 1);
  std::string cells;
  double last = 0;
  for (const int threads : kSimulated) {
    last = simulated(recording, threads, barrier * threads / 2);
    cells += fmt::format(" {:.2f} |", 1e3 * last);
  }
  fmt::print("| {} {} {} | {:.1f} | {:.1f} | {} | {:.1f} % | {:.1f} |{} {:.0f} |\n", preset,
             training ? "train" : "infer", batch, 1e3 * one, 1e3 * two, barriers,
             100 * recording.serial / recording.seconds(),
             static_cast<double>(parts) / static_cast<double>(std::max<size_t>(1, barriers)), cells,
             1e-9 * bytes / last);
  std::fflush(stdout);
}

int run(int rounds) {
  const double barrier = barrier_of_two();
  fmt::print("A barrier of two threads: {:.2f} us; of n: n/2 times as much, by assumption.\n\n",
             1e6 * barrier);
  fmt::print(
      "| step | 1 thread, measured ms | 2 threads, measured ms | barriers | serial | parts a job | "
      "predicted, not measured: 1 | 2 | 8 | 32 | 96 threads, ms | GB/s at 96 |\n"
      "|--|--|--|--|--|--|--|--|--|--|--|--|\n");
  for (const char* preset : {"cnn", "kd-cae", "ni-cae-128", "dcgan"})
    for (const int64_t batch : {1, 32})
      for (const bool training : {true, false})
        if (batch != 1 || !training) print_row(preset, batch, training, rounds, barrier);
  return 0;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) {
  const bool has_rounds = argc == 3 && std::string(argv[1]) == "--rounds";
  if (argc != 1 && !has_rounds) {
    fmt::print(stderr, "usage: bench_scaling [--rounds N]\n");
    return 2;
  }
  return assay::bench::run(has_rounds ? std::max(1, std::atoi(argv[2])) : 7);
}
