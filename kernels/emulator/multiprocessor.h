// The state of one emulated streaming multiprocessor: one OS thread that runs the blocks of a grid
// one after another. Internal to the emulator.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/emulator/async.h"
#include "kernels/emulator/barriers.h"
#include "kernels/emulator/config.h"
#include "kernels/emulator/fiber.h"
#include "kernels/emulator/machine.h"
#include "kernels/emulator/shared_memory.h"

namespace assay::emulator {

class Checker;

enum class State : uint8_t { ready, running, waiting, done };

/// One CUDA thread.
struct Thread : BuiltIns {
  unsigned index = 0;  ///< in the block
  unsigned lane = 0, warp = 0;
  Fiber fiber;
  State state = State::ready;
  // For reports: the last operation that could make the thread wait, and its source line.
  const char* operation = "its start";
  Site site;
  // The warp collective that the thread takes part in.
  const WarpOperation* collective = nullptr;
  uint32_t mask = 0;
  void* operands = nullptr;

  CopyQueue copies;           ///< the thread's cp.async
  bool wgmma_fenced = false;  ///< wgmma.fence since the last wait
};

struct Warp {
  uint32_t arrived = 0;  ///< lanes that wait in a collective
  uint32_t exited = 0;
};

struct Warpgroup {
  unsigned arrived = 0;
  const WarpgroupOperation* collective = nullptr;
  Site site;
  void* operands[128] = {};
  WgmmaQueue products;
};

/// Counts of run_grid(), summed over all launches since the last reset.
struct Statistics {
  uint64_t switches = 0, barriers = 0, collectives = 0, accesses_checked = 0;
};

class Multiprocessor {
 public:
  explicit Multiprocessor(size_t stack_bytes);
  ~Multiprocessor();

  /// Makes room for blocks of `threads` threads; called between blocks. Stacks, which cost system
  /// calls, are made anew only for more threads than before. Throws Error if there is no memory.
  void fit(unsigned threads);

  /// Runs one block to its end, after fit(). Throws Error.
  void run_block(uint3 block, dim3 grid, dim3 block_size, size_t dynamic_shared,
                 const std::function<void()>& kernel);
  size_t stack_bytes() const { return stack_bytes_; }

  // ---- scheduling (scheduler.cpp)
  Thread& running() { return *static_cast<Thread*>(current); }
  /// Runs other threads until one of them makes the running thread ready again.
  void wait(const char* operation, Site site);
  /// Ends the turn of the running thread, which stays ready.
  void yield();
  void make_ready(Thread& thread);
  /// Abandons the block with an error; for fail().
  [[noreturn]] void abandon(std::string error);
  bool in_kernel() const { return in_kernel_; }

  unsigned size() const { return block_threads_; }
  unsigned alive() const { return alive_; }
  Thread& thread(unsigned i) { return threads_[i]; }
  Warp& warp(unsigned i) { return warps_[i]; }
  Warpgroup& warpgroup(unsigned i) { return warpgroups_[i]; }
  unsigned warpgroups() const { return block_threads_ / 128; }
  const Stacks& stacks() const { return *stacks_; }

  uint64_t random();
  /// Whether the next asynchronous operation is to happen late.
  bool happens_late();
  bool checking() const { return checking_; }

  Barriers barriers;
  MemoryBarriers memory_barriers;
  SharedMemory shared;
  BulkQueue bulk_copies;
  std::unique_ptr<Checker> checker;  ///< made in the first checked block
  Statistics statistics;
  /// The warp or warpgroup whose collective is being executed.
  unsigned collective_warp = 0, collective_warpgroup = 0;

 private:
  static void entry();
  Thread* next();
  void run_next(Thread& from);
  void thread_exits();
  void prepare_threads(uint3 block, dim3 grid, dim3 block_size);
  std::string deadlock_report();
  std::string leftover_report();

  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<Warpgroup> warpgroups_;
  size_t stack_bytes_;
  std::unique_ptr<Stacks> stacks_;
  Fiber home_;  // the OS thread's own stack
  const std::function<void()>* kernel_ = nullptr;
  std::string error_;
  unsigned block_threads_ = 0, alive_ = 0;
  bool in_kernel_ = false, checking_ = false;
  Order order_ = Order::sequential;
  Async async_ = Async::late;
  uint64_t random_state_ = 1;

  // The ready queue: a ring of thread indices, popped from either end or from the middle.
  std::vector<uint16_t> ready_;
  unsigned head_ = 0, tail_ = 0, ring_mask_ = 0;
};

/// The multiprocessor of this OS thread; nullptr outside run_grid().
extern thread_local Multiprocessor* multiprocessor;
/// Completes the collective that `lane` of warp `w` waits in, if all lanes have come.
bool complete_warp_collective(unsigned w, unsigned lane);

/// "block (1,0,0) thread (7,0,0)"
std::string name_of(const Thread& thread);
Statistics statistics(bool reset = false);

}  // namespace assay::emulator
