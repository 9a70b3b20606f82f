// The barriers of a block: __syncthreads, named barriers (bar.sync, bar.arrive) and the mbarriers
// of Hopper. Internal to the emulator.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "kernels/emulator/machine.h"

namespace assay::emulator {

struct Thread;

/// The 16 barriers of a block; number 0 is also __syncthreads().
class Barriers {
 public:
  void clear();
  /// `threads` 0 means the whole block: all that have not exited.
  void sync(unsigned id, unsigned threads, Site site);
  void arrive(unsigned id, unsigned threads, Site site);
  void thread_exits();

 private:
  struct Barrier {
    unsigned expected = 0;  // threads; 0: the whole block
    Site site;              // of the first thread's call
    std::vector<Thread*> arrived, waiting;
  };
  Barrier& join(unsigned id, unsigned threads, Site site);
  void release(Barrier& barrier);

  Barrier barriers_[16];
};

/// State of mbarriers besides their 64-bit word in shared memory: the waiting threads and, in check
/// mode, the clocks of those that arrived.
class MemoryBarriers {
 public:
  using Clock = std::vector<uint32_t>;
  struct Side {
    std::vector<Thread*> waiting;
    Clock arriving, completed;  // of the current and of the last phase
  };
  void clear() { sides_.clear(); }
  Side& side(uint64_t* barrier) { return sides_[barrier]; }
  /// Counts `bytes` off the transaction count of `barrier`.
  void complete_bytes(uint64_t* barrier, uint32_t bytes);

 private:
  std::unordered_map<uint64_t*, Side> sides_;
};

/// Reports an error unless `barrier` is an initialised mbarrier.
void memory_barrier_check(uint64_t* barrier, Site site);

}  // namespace assay::emulator
