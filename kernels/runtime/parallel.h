// The thread pool.
//
// Work is cut into parts by shape alone and a part's result depends on nothing but its index, so
// the number of threads never changes a bit of a result.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace assay {

struct Context;

/// A job as ThreadPool::record() saw it.
struct RecordedJob {
  std::vector<double> parts;  ///< seconds that each part took
};

/// A fixed set of threads, the caller among them, that run one job at a time. Parts of a job are
/// the tasks of the kernels.
class ThreadPool {
 public:
  /// `threads` counts the caller. Throws UsageError for less than 1. Has fewer where the system
  /// refuses more: see threads().
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// Runs body(closure, part) for every part in [0, parts) and returns when all are done. A call
  /// from inside a part, or with one part, runs on the calling thread. The exception of the lowest
  /// part that threw is thrown again here.
  using Body = void (*)(const void* closure, int64_t part);
  void run(int64_t parts, Body body, const void* closure);

  /// From now on run() does all parts on the calling thread, times them and adds the job to `jobs`;
  /// null ends that. Jobs from inside a part count as that part's time.
  void record(std::vector<RecordedJob>* jobs);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Hardware threads that affinity, control groups and Slurm let this process use.
int available_threads();

/// Runs f(part) for every part in [0, parts) on the threads of `pool`.
template <class F>
void parallel_for(ThreadPool& pool, int64_t parts, const F& f) {
  pool.run(
      parts, [](const void* closure, int64_t part) { (*static_cast<const F*>(closure))(part); },
      &f);
}

ThreadPool& threads_of(Context& ctx);

template <class F>
void parallel_for(Context& ctx, int64_t parts, const F& f) {
  parallel_for(threads_of(ctx), parts, f);
}

/// Cuts [0, n) into blocks of `grain` and runs f(begin, end) for each.
template <class F>
void parallel_blocks(Context& ctx, int64_t n, int64_t grain, const F& f) {
  parallel_for(ctx, (n + grain - 1) / grain, [&](int64_t part) {
    const int64_t begin = part * grain;
    f(begin, begin + grain < n ? begin + grain : n);
  });
}

}  // namespace assay
