#include "kernels/runtime/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "kernels/runtime/context.h"
#include "kernels/runtime/cpu_limit.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

thread_local bool inside_part = false;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void run_recorded(int64_t parts, ThreadPool::Body body, const void* closure, RecordedJob& job) {
  inside_part = true;
  double before = seconds_now();
  for (int64_t part = 0; part < parts; ++part) {
    body(closure, part);
    const double now = seconds_now();
    job.parts.push_back(now - before);
    before = now;
  }
  inside_part = false;
}

void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// About 50 us: longer than the gap between two kernels of a step, short enough to sleep soon.
constexpr int kSpins = 2000;

}  // namespace

struct ThreadPool::State {
  // The job. Written by the caller under `mutex` while no worker is inside one.
  Body body = nullptr;
  const void* closure = nullptr;
  int64_t parts = 0;

  std::atomic<int64_t> next{0};  // next part to take
  std::atomic<uint64_t> job{0};  // number of the current job; workers wait for a new one
  std::atomic<int> busy{0};      // workers that have not left the current job
  std::atomic<bool> stop{false};

  std::mutex mutex;  // guards sleeping, and the exception
  std::condition_variable wake;
  std::exception_ptr exception;
  int64_t exception_part = 0;

  std::mutex entry;  // one job at a time
  std::vector<std::thread> workers;
  std::vector<RecordedJob>* recorded = nullptr;

  void take_parts() {
    inside_part = true;
    for (int64_t part; (part = next.fetch_add(1, std::memory_order_relaxed)) < parts;) {
      try {
        body(closure, part);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!exception || part < exception_part) {
          exception = std::current_exception();
          exception_part = part;
        }
      }
    }
    inside_part = false;
  }

  void work() {
    uint64_t seen = 0;
    while (true) {
      int spins = 0;
      while (job.load(std::memory_order_acquire) == seen && !stop.load(std::memory_order_relaxed)) {
        if (++spins < kSpins) {
          spin_pause();
          continue;
        }
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return job.load(std::memory_order_acquire) != seen || stop; });
      }
      if (stop.load(std::memory_order_relaxed)) return;
      seen = job.load(std::memory_order_acquire);
      take_parts();
      busy.fetch_sub(1, std::memory_order_release);
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  ASSAY_CHECK_AS(UsageError, threads >= 1, "threads: {} asked for, at least 1 needed", threads);
  state_->workers.reserve(static_cast<size_t>(threads) - 1);
  try {
    for (int i = 1; i < threads; ++i)
      state_->workers.emplace_back([state = state_.get()] { state->work(); });
  } catch (const std::system_error&) {  // the system gives no more: fewer work
  } catch (const std::bad_alloc&) {
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (auto& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const {
  return static_cast<int>(state_->workers.size()) + 1;
}

void ThreadPool::record(std::vector<RecordedJob>* jobs) {
  state_->recorded = jobs;
}

void ThreadPool::run(int64_t parts, Body body, const void* closure) {
  if (parts <= 0) return;
  if (state_->recorded != nullptr && !inside_part)
    return run_recorded(parts, body, closure, state_->recorded->emplace_back());
  if (inside_part || parts == 1 || state_->workers.empty()) {
    for (int64_t part = 0; part < parts; ++part) body(closure, part);
    return;
  }
  State& s = *state_;
  const std::lock_guard entry(s.entry);
  s.body = body;
  s.closure = closure;
  s.parts = parts;
  s.exception = nullptr;
  s.next.store(0, std::memory_order_relaxed);
  s.busy.store(static_cast<int>(s.workers.size()), std::memory_order_relaxed);
  {
    const std::lock_guard lock(s.mutex);  // or a worker could miss the wake-up
    s.job.fetch_add(1, std::memory_order_release);
  }
  s.wake.notify_all();
  s.take_parts();
  for (int spins = 0; s.busy.load(std::memory_order_acquire) != 0;) {
    if (++spins < kSpins) {
      spin_pause();
    } else {
      std::this_thread::yield();
    }
  }
  if (s.exception) std::rethrow_exception(s.exception);
}

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof(set), &set) == 0) threads = CPU_COUNT(&set);
  for (const int limit : {cgroup_cpus(), slurm_cpus()})
    if (limit > 0) threads = std::min(threads, limit);
  return std::max(1, threads);
}

ThreadPool& threads_of(Context& ctx) {
  return *ctx.threads;
}

}  // namespace assay
