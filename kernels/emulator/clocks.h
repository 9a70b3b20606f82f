// Vector clocks: the happens-before order inside one block.
//
// Each thread has a counter (its clock) and, for every other thread u, the value of u's clock up to
// which it has "seen" what u did (a vector clock: Lamport 1978; FastTrack, Flanagan and Freund,
// PLDI 2009). An access of u at time c is ordered before what t does now if t has seen u up to c.
// Barriers and mbarriers exchange what is seen; shuffles and mma do not, as the PTX memory model
// says. A barrier of the whole block gives every thread the same view, so it is kept once for all
// (`base_`) and most kernels never pay for a vector per thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace assay::emulator {

class Clocks {
 public:
  using Vector = std::vector<uint32_t>;

  void begin_block(size_t threads) {
    base_.assign(threads, 0);
    ++epoch_;
    threads_.resize(threads);
    for (Thread& t : threads_) {
      t.now = 1;
      t.epoch = epoch_ - 1;
      t.proxy_fence = 0;
    }
  }

  uint32_t now(unsigned t) const { return threads_[t].now; }
  /// The time of thread u up to which thread t has seen u's accesses.
  uint32_t seen(unsigned t, unsigned u) const {
    const Thread& thread = threads_[t];
    return thread.epoch == epoch_ ? std::max(base_[u], thread.seen[u]) : base_[u];
  }
  bool ordered(unsigned u, uint32_t time, unsigned t) const { return seen(t, u) >= time; }

  /// All threads met: each has seen the accesses of all.
  void meet_all() {
    for (size_t u = 0; u < threads_.size(); ++u) base_[u] = threads_[u].now++;
    ++epoch_;
  }
  /// Adds what thread t has seen and done so far to `into`, and advances t's clock.
  void release(unsigned t, Vector& into) {
    into.resize(threads_.size());
    for (unsigned u = 0; u < threads_.size(); ++u) into[u] = std::max(into[u], seen(t, u));
    into[t] = std::max(into[t], threads_[t].now++);
  }
  void acquire(unsigned t, const Vector& from) {
    if (from.empty()) return;
    Thread& thread = threads_[t];
    if (thread.epoch != epoch_) {
      thread.seen.assign(threads_.size(), 0);
      thread.epoch = epoch_;
    }
    for (size_t u = 0; u < from.size(); ++u) thread.seen[u] = std::max(thread.seen[u], from[u]);
  }

  /// fence.proxy.async: what thread t wrote before is visible to TMA and wgmma.
  void fence_proxy(unsigned t) { threads_[t].proxy_fence = ++threads_[t].now; }
  bool fenced(unsigned t, uint32_t time) const { return threads_[t].proxy_fence > time; }

 private:
  struct Thread {
    uint32_t now = 1, proxy_fence = 0;
    uint64_t epoch = 0;  // `seen` counts only if it was made since the last meet_all()
    Vector seen;
  };
  std::vector<Thread> threads_;
  Vector base_;
  uint64_t epoch_ = 1;
};

}  // namespace assay::emulator
