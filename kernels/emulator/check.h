// Check mode: every load and store of a kernel is checked.
//
// The kernel sources are compiled with -fsanitize=thread, which makes the compiler call a function
// before each access, and are linked with the emulator's own functions of that name
// (tsan_callbacks.cpp), never with libtsan. The checker compares the accesses in shadow memory
// (shadow_shared.h, shadow_global.h) by their happens-before order (clocks.h). Internal to the
// emulator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/emulator/clocks.h"
#include "kernels/emulator/profile.h"
#include "kernels/emulator/shadow_global.h"
#include "kernels/emulator/shadow_shared.h"
#include "kernels/emulator/site.h"

namespace assay::emulator {

class Multiprocessor;
struct Thread;

/// Whether the kernels of this program were compiled for check mode.
bool instrumented();
void set_instrumented();

/// The checker of one multiprocessor.
class Checker {
 public:
  explicit Checker(Multiprocessor& mp) : mp_(mp), shared_(mp, clocks_) {}
  void begin_block();
  void end_block();

  // ---- synchronisation
  /// `threads`, all of the block or some, met at a barrier.
  void barrier(const std::vector<Thread*>& threads, bool whole_block);
  /// The running thread arrives at, or has waited for, an mbarrier whose clock is given.
  void release(Clocks::Vector& into);
  void acquire(const Clocks::Vector& from);
  void fence_proxy();
  /// See note_release() in machine.h.
  void release_to_blocks(const void* object);
  void acquire_from_blocks(const void* object);

  // ---- accesses
  /// An access by the running thread. `aligned`: the address must be a multiple of the size.
  void access(const void* p, size_t bytes, AccessKind kind, const void* pc, bool aligned);
  /// A read by `thread` of one row of an ldmatrix.
  void collective_read(const void* p, size_t bytes, unsigned thread);
  /// An asynchronous copy, from its issue to the wait for it. `global` may be nullptr.
  void async_write_begins(const void* shared, size_t bytes, const void* global, Site site);
  void async_write_ends(const void* shared, size_t bytes, unsigned thread);
  /// A read of global memory by TMA.
  void bulk_read(const void* global, size_t bytes, Site site);
  /// The end of a TMA write, which is ordered by an mbarrier whose arriving clock is given.
  void bulk_write_ends(const void* shared, size_t bytes, unsigned thread, Clocks::Vector& arriving);
  /// A wgmma begins (delta = +1) or has ended (-1) reading its operands.
  void wgmma_read(uint32_t address, size_t bytes, unsigned warpgroup, Site site, int delta);

 private:
  unsigned block_number() const;

  Multiprocessor& mp_;
  Clocks clocks_;
  SharedShadow shared_;
  Profiler profiler_;
};

}  // namespace assay::emulator
