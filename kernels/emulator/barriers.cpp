#include "kernels/emulator/barriers.h"

#include <fmt/core.h>

#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"

namespace assay::emulator {

// ---- bar.sync, bar.arrive and __syncthreads

void Barriers::clear() {
  for (Barrier& b : barriers_) {
    b.arrived.clear();
    b.waiting.clear();
  }
}

Barriers::Barrier& Barriers::join(unsigned id, unsigned threads, Site site) {
  if (id >= 16) fail(fmt::format("there is no barrier {}; at {}", id, text(site)));
  if (threads % 32 != 0 || threads > multiprocessor->size())
    fail(fmt::format(
        "barrier {} of {} threads at {}: the count must be a multiple of 32, at most the block", id,
        threads, text(site)));
  Barrier& b = barriers_[id];
  if (b.arrived.empty()) {
    b.site = site;
    b.expected = threads;
  } else if (b.expected != threads) {
    fail(fmt::format("barrier {} at {} expects {} threads, but at {} {}", id, text(site), threads,
                     text(b.site), b.expected));
  } else if (threads == 0 && config().strict_sites && !same_place(b.site, site)) {
    fail(fmt::format("barrier divergence: __syncthreads at {} while others wait at {}", text(site),
                     text(b.site)));
  }
  b.arrived.push_back(&multiprocessor->running());
  return b;
}

void Barriers::release(Barrier& b) {
  Multiprocessor& mp = *multiprocessor;
  ++mp.statistics.barriers;
  if (mp.checking()) mp.checker->barrier(b.arrived, b.expected == 0);
  for (Thread* t : b.waiting) mp.make_ready(*t);
  b.waiting.clear();
  b.arrived.clear();
}

void Barriers::sync(unsigned id, unsigned threads, Site site) {
  Multiprocessor& mp = *multiprocessor;
  Barrier& b = join(id, threads, site);
  b.waiting.push_back(&mp.running());
  if (b.arrived.size() < (threads == 0 ? mp.alive() : threads)) {
    mp.wait(id == 0 && threads == 0 ? "__syncthreads" : "a named barrier", site);
    return;
  }
  if (config().order == Order::sequential) {  // the last thread to arrive continues
    b.waiting.pop_back();
    release(b);
  } else {
    release(b);
    mp.yield();
  }
}

void Barriers::arrive(unsigned id, unsigned threads, Site site) {
  if (threads == 0) fail(fmt::format("bar.arrive at {} needs a count of threads", text(site)));
  Barrier& b = join(id, threads, site);
  if (b.arrived.size() >= threads) release(b);
}

// A barrier of the whole block waits only for threads that have not exited.
void Barriers::thread_exits() {
  for (Barrier& b : barriers_) {
    if (b.arrived.empty() || b.expected != 0) continue;
    if (config().strict_exit)
      fail(fmt::format("the thread exits while others wait in __syncthreads at {}", text(b.site)));
    if (b.arrived.size() >= multiprocessor->alive()) release(b);
  }
}

void sync_threads(Site site) {
  multiprocessor->barriers.sync(0, 0, site);
}
void thread_fence() {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void named_barrier_sync(unsigned id, unsigned threads, Site site) {
  multiprocessor->barriers.sync(id, threads, site);
}
void named_barrier_arrive(unsigned id, unsigned threads, Site site) {
  multiprocessor->barriers.arrive(id, threads, site);
}

// ---- mbarrier (PTX ISA, "Parallel Synchronization and Communication Instructions: mbarrier")

namespace {

// The word in shared memory. A phase completes when no arrival and no byte is pending.
struct Word {
  uint64_t phase : 1, pending : 16, expected : 16, magic : 8;
  int64_t bytes : 23;  // expected minus arrived; may be negative for a while
};
static_assert(sizeof(Word) == 8);
constexpr uint64_t kMagic = 0x5b;

Word& word_of(uint64_t* barrier) {
  return *reinterpret_cast<Word*>(barrier);
}

void complete_if_done(uint64_t* barrier) {
  Word& word = word_of(barrier);
  if (word.pending != 0 || word.bytes != 0) return;
  word.phase ^= 1;
  word.pending = word.expected;
  MemoryBarriers::Side& side = multiprocessor->memory_barriers.side(barrier);
  side.completed = side.arriving;
  for (Thread* t : side.waiting) multiprocessor->make_ready(*t);
  side.waiting.clear();
}

void check_address(uint64_t* barrier, Site site) {
  shared_pointer(shared_address(barrier), sizeof *barrier);
  if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0)
    fail(fmt::format("mbarrier: misaligned, at {}", text(site)));
}

}  // namespace

void memory_barrier_check(uint64_t* barrier, Site site) {
  check_address(barrier, site);
  if (word_of(barrier).magic != kMagic)
    fail(fmt::format("mbarrier: not initialised, or overwritten; used at {}", text(site)));
}

void memory_barrier_init(uint64_t* barrier, uint32_t arrivals, Site site) {
  check_address(barrier, site);
  if (arrivals == 0 || arrivals >= 1u << 16)
    fail(fmt::format("mbarrier: count {} at {}", arrivals, text(site)));
  word_of(barrier) = {
      .phase = 0, .pending = arrivals, .expected = arrivals, .magic = kMagic, .bytes = 0};
  multiprocessor->memory_barriers.side(barrier) = {};
}

void memory_barrier_arrive(uint64_t* barrier, uint32_t expected_bytes, Site site) {
  memory_barrier_check(barrier, site);
  Word& word = word_of(barrier);
  if (word.pending == 0)
    fail(fmt::format("mbarrier: more arrivals than it was made for, at {}", text(site)));
  word.bytes += expected_bytes;
  --word.pending;
  if (multiprocessor->checking())
    multiprocessor->checker->release(multiprocessor->memory_barriers.side(barrier).arriving);
  complete_if_done(barrier);
}

void memory_barrier_wait(uint64_t* barrier, uint32_t parity, Site site) {
  memory_barrier_check(barrier, site);
  MemoryBarriers::Side& side = multiprocessor->memory_barriers.side(barrier);
  while (word_of(barrier).phase == (parity & 1)) {
    side.waiting.push_back(&multiprocessor->running());
    multiprocessor->wait("an mbarrier", site);
  }
  if (multiprocessor->checking()) multiprocessor->checker->acquire(side.completed);
}

void MemoryBarriers::complete_bytes(uint64_t* barrier, uint32_t bytes) {
  word_of(barrier).bytes -= bytes;
  complete_if_done(barrier);
}

}  // namespace assay::emulator
