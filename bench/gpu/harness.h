// Shared by the programs in bench/gpu: their command line, one JSON line per cell, the comparison,
// and the file of the best plans.
//
//   gpu_conv [--list] [--cells FILE] [--batch N] [--rounds N] [--plans FILE] [--max-plans N]
//            [--plan-seconds S] [--exhaustive] [--algo NAME] [--seconds S]
//            [Google Benchmark's flags, e.g. --benchmark_filter=tf32]
//
// --list prints the names of the cells; --cells runs only those whose names are lines of FILE.
//
// --algo asks for one algorithm (Context::algorithm), and its cells end in that name. A row's
// "algorithm" is the one that ran: if the requested one does not cover a shape, the next lower one
// that does.
//
// A cell is one measurement with a name, e.g. "models/kdcae.e2/fprop/tf32": a Google Benchmark with
// manual time. Standard output gets a line {"begin": cell} when one starts, its row when it is done
// and, if it takes long, {"alive": true} in between. Lines are flushed at once, so that
// bench/gpu/run.py loses nothing when a run is stopped. Google Benchmark's own table goes to
// standard error.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/baselines/baseline.h"
#include "bench/gpu/timer.h"
#include "kernels/runtime/error.h"

namespace assay::bench {

using Row = nlohmann::ordered_json;

struct Settings {
  int batch = 32;
  int rounds = 25;            ///< of A B B A: 50 samples each
  int max_plans = 8;          ///< built and timed per cell
  double plan_seconds = 0.8;  ///< length of a search after which no further plan is built
  bool exhaustive = false;    ///< all engines, all algorithms, no limit
  double seconds = 0;         ///< time after which no further cell starts; 0: no limit
  Algorithm algo = Algorithm::automatic;
  std::string plans;  ///< file of remembered plans
};

/// The device and the libraries, opened when the first cell runs.
class Bench {
 public:
  explicit Bench(const Settings& settings);
  Settings settings;
  CudaContext cuda;
  Context& ctx;
  Timer timer;
  std::unique_ptr<DnnLibrary> dnn;
  std::unique_ptr<BlasLibrary> blas;
  std::shared_ptr<void> operands;  ///< reused by the next cell; destroyed before the device

  /// The best plan's name of an earlier search with this version of the library; "" if there was
  /// none.
  std::string remembered(const std::string& key) const;
  void remember(const std::string& key, const std::string& plan);

  /// Prints {"alive": true} every few seconds, without which bench/gpu/run.py assumes that the cell
  /// hangs. Call it regularly in a cell that may take minutes.
  void alive();

  /// Times `ours` and `theirs` (null: ours alone) in turns, writes medians, spreads and ratios to
  /// the row.
  struct Side {
    Work work;
    int launches = 1;  ///< of a sample; for cold samples there are as many buffer sets
    int cold_launches = 1;
  };
  void compare(benchmark::State& state, Row& row, const Side& ours, const Side* theirs);

 private:
  std::map<std::string, std::string> plans_;
  double last_sign_ = 0;
};

struct Cell {
  std::string name;
  /// Measures inside of `for (auto _ : state)`, once per round. Throws Error.
  std::function<void(benchmark::State&, Bench&, Row&)> measure;
};

/// The main function of such a program. `cells` makes the table for the settings of the command
/// line; it must not touch the device (the table can be listed anywhere).
int run_program(int argc, char** argv,
                const std::function<std::vector<Cell>(const Settings&)>& cells);

/// The four classes of arithmetic that are compared.
inline constexpr Precision kModes[] = {Precision::fp32, Precision::tf32, Precision::tf32x3,
                                       Precision::bf16};

/// Launches of a cold sample: `launches`, or fewer if that many sets of `bytes` do not fit into
/// memory.
int cold_launches(int launches, int64_t bytes);

}  // namespace assay::bench
