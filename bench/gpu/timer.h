// The timing protocol of everything in bench/gpu:
//
// - Work is recorded into a CUDA graph of enough launches for a sample of at least 200 us (events
//   resolve about half a microsecond). A sample is the time between two events around one replay,
//   divided by the launches, without the host's time.
// - warm: each launch works on the same buffers, which the launch before has left in the L2 cache
//   as far as they fit.
// - cold: before the first event a buffer of 2.5 times the L2 cache is read (read, not written, so
//   that no dirty lines are left to be written back); each launch has buffers of its own.
// - The two sides take turns, A B B A, so that a drift of the clock touches both.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/runtime/cuda/cuda_context.h"

namespace assay::bench {

/// Work on the buffers of one set; asynchronous, on the context's stream.
using Work = std::function<void(int set)>;

class Timer {
 public:
  explicit Timer(Context& ctx);

  /// A graph that can be replayed.
  class Recording {
   public:
    explicit Recording(void* exec, int launches) : exec_(exec), launches_(launches) {}
    ~Recording();
    Recording(Recording&& other) noexcept : exec_(other.exec_), launches_(other.launches_) {
      other.exec_ = nullptr;
    }
    Recording& operator=(Recording&&) = delete;

   private:
    friend class Timer;
    void* exec_;  // a cudaGraphExec_t
    int launches_;
  };

  /// Runs work(0) once as it is, so that nothing is loaded or allocated later, then records
  /// work(0), work(1) ... work(launches - 1); with `sets` = 1 work(0) each time.
  Recording record(const Work& work, int launches, int sets);
  /// One sample, microseconds per launch.
  double warm(const Recording& r);
  double cold(const Recording& r);
  /// One launch without a graph, the host's part included: microseconds per launch.
  double eager(const Work& work, int launches);

  /// Launches for a sample of 200 us, by a first warm measurement; at most kMaxLaunches.
  int launches_for(const Work& work);
  static constexpr int kMaxLaunches = 128;

  /// Keeps the device busy for a second, so that its clock rises.
  void wake();

 private:
  struct Events;
  double between(const std::function<void()>& run);
  void flush();

  Context& ctx_;
  std::shared_ptr<Events> events_;
  Scratch flush_buffer_, sink_;
};

/// Samples in microseconds per launch, in the order in which they were taken.
struct Samples {
  std::vector<double> cold, warm;
};
double median(std::vector<double> v);
/// p in [0,1], by linear interpolation.
double quantile(std::vector<double> v, double p);

/// Whether a real GPU runs the kernels.
bool real_device();
/// Bytes of the device's second-level cache.
int64_t l2_bytes();
int multiprocessors();

}  // namespace assay::bench
