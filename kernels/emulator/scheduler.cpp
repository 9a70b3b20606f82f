// One block on one OS thread: its CUDA threads take turns.
//
// A turn ends when the thread must wait; without time slicing a run is repeatable. `order` chooses
// the next thread. If no thread can run, an asynchronous copy in flight is completed. If there is
// none either, the block is deadlocked, and the report says which thread waits where.
#include <fmt/core.h>

#include <bit>
#include <map>

#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"

namespace assay::emulator {

constinit thread_local BuiltIns* current = nullptr;
thread_local Multiprocessor* multiprocessor = nullptr;

std::string name_of(const Thread& t) {
  return fmt::format("block ({},{},{}) thread ({},{},{})", t.block_index.x, t.block_index.y,
                     t.block_index.z, t.thread_index.x, t.thread_index.y, t.thread_index.z);
}

void fail(const std::string& what) {
  if (multiprocessor == nullptr || !multiprocessor->in_kernel()) throw Error(what);
  multiprocessor->abandon(what + " [" + name_of(multiprocessor->running()) + "]");
}

Multiprocessor::Multiprocessor(size_t stack_bytes) : stack_bytes_(stack_bytes) {}
Multiprocessor::~Multiprocessor() = default;

void Multiprocessor::fit(unsigned threads) {
  if (threads == block_threads_) return;
  threads_.resize(threads);
  warps_.resize((threads + 31) / 32);
  warpgroups_.resize(threads / 128);
  ring_mask_ = std::bit_ceil(threads + 1) - 1;
  ready_.resize(ring_mask_ + 1);
  if (!stacks_ || stacks_->count() < threads) {
    stacks_.reset();  // first, to free memory for the new ones
    stacks_ = std::make_unique<Stacks>(threads, stack_bytes_);
  }
  block_threads_ = threads;  // last, so that a call that throws is repeated in full
}

uint64_t Multiprocessor::random() {  // xorshift64
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return random_state_ >> 11;
}

bool Multiprocessor::happens_late() {
  return async_ == Async::late || (async_ == Async::random && (random() & 1) != 0);
}

// ---- turns

void Multiprocessor::make_ready(Thread& thread) {
  thread.state = State::ready;
  ready_[tail_++ & ring_mask_] = static_cast<uint16_t>(thread.index);
}

// The thread whose turn is next; nullptr if none can ever run again.
Thread* Multiprocessor::next() {
  while (head_ == tail_) {
    if (bulk_copies.empty()) return nullptr;
    bulk_copies.complete_one();
  }
  if (order_ == Order::reverse) return &threads_[ready_[--tail_ & ring_mask_]];
  if (order_ == Order::random)
    std::swap(ready_[head_ & ring_mask_],
              ready_[(head_ + random() % (tail_ - head_)) & ring_mask_]);
  return &threads_[ready_[head_++ & ring_mask_]];
}

// Suspends the thread `from` and runs the next one; returns when it is from's turn again.
void Multiprocessor::run_next(Thread& from) {
  Thread* to = next();
  ++statistics.switches;
  if (to == nullptr) {
    Fiber::switch_to(from.fiber, home_);
    return;
  }
  to->state = State::running;
  if (to == &from) return;
  current = to;
  Fiber::switch_to(from.fiber, to->fiber);
}

void Multiprocessor::wait(const char* operation, Site site) {
  Thread& me = running();
  me.operation = operation;
  me.site = site;
  me.state = State::waiting;
  run_next(me);
}

void Multiprocessor::yield() {
  run_next(running());
}

void Multiprocessor::abandon(std::string error) {
  error_.swap(error);
  in_kernel_ = false;
  Fiber::switch_to(running().fiber, home_);
  __builtin_unreachable();  // no thread switches back to one of an abandoned block
}

// ---- the life of a thread

void Multiprocessor::entry() {
  Fiber::entered();
  Multiprocessor& self = *multiprocessor;
  std::string error;
  try {
    (*self.kernel_)();
  } catch (const std::exception& e) {
    error = fmt::format("the kernel threw: {} [{}]", e.what(), name_of(self.running()));
  }
  if (!error.empty()) self.abandon(std::move(error));
  self.thread_exits();
}

// Other threads must not wait for one that has exited, so barriers and collectives count again.
void Multiprocessor::thread_exits() {
  Thread& me = running();
  me.copies.clear();  // no wait can follow; what they have not written stays NaN
  me.state = State::done;
  --alive_;
  Warp& my_warp = warps_[me.warp];
  my_warp.exited |= 1u << me.lane;
  barriers.thread_exits();
  if (my_warp.arrived != 0)
    complete_warp_collective(me.warp, static_cast<unsigned>(std::countr_zero(my_warp.arrived)));
  run_next(me);
}

void Multiprocessor::prepare_threads(uint3 block, dim3 grid, dim3 block_size) {
  head_ = tail_ = 0;
  alive_ = block_threads_;
  for (unsigned w = 0; w < warps_.size(); ++w) {
    const unsigned lanes = block_threads_ - 32 * w;
    warps_[w] = {.arrived = 0, .exited = lanes >= 32 ? 0u : ~0u << lanes};
  }
  for (Warpgroup& group : warpgroups_) {
    group.arrived = 0;
    group.products.clear();
  }
  unsigned i = 0;
  for (unsigned z = 0; z < block_size.z; ++z)
    for (unsigned y = 0; y < block_size.y; ++y)
      for (unsigned x = 0; x < block_size.x; ++x, ++i) {
        Thread& t = threads_[i];
        t.thread_index = {x, y, z};
        t.block_index = block;
        t.block_size = block_size;
        t.grid_size = grid;
        t.index = i;
        t.lane = i % 32;
        t.warp = i / 32;
        t.copies.clear();
        t.wgmma_fenced = false;
        t.operation = "its start";
        t.fiber.prepare(stacks_->stack(i), stack_bytes_, i, &entry);
        make_ready(t);
      }
}

// ---- the life of a block

void Multiprocessor::run_block(uint3 block, dim3 grid, dim3 block_size, size_t dynamic_shared_bytes,
                               const std::function<void()>& kernel) {
  const Config& c = config();
  order_ = c.order;
  async_ = c.async;
  random_state_ =
      c.seed * 0x9e3779b97f4a7c15u + block.x * 0x1234567u + block.y * 0x891u + block.z + 1;
  if (random_state_ == 0) random_state_ = 1;
  kernel_ = &kernel;
  error_.clear();
  checking_ = c.check && instrumented();
  barriers.clear();
  memory_barriers.clear();
  bulk_copies.clear();
  shared.begin_block(dynamic_shared_bytes);
  prepare_threads(block, grid, block_size);
  if (checking_) {
    if (!checker) checker = std::make_unique<Checker>(*this);
    checker->begin_block();
  }

  Thread* first = next();
  first->state = State::running;
  current = first;
  in_kernel_ = true;
  Fiber::switch_to(home_, first->fiber);  // returns when no thread can run any more
  in_kernel_ = false;
  current = nullptr;

  if (error_.empty() && alive_ != 0) error_ = deadlock_report();
  if (error_.empty()) error_ = leftover_report();
  if (checking_ && error_.empty()) checker->end_block();
  if (!error_.empty()) throw Error(error_);
}

// "0-31,64" for the sorted indices 0..31 and 64.
static std::string ranges(const std::vector<unsigned>& v) {
  std::string out;
  for (size_t i = 0; i < v.size();) {
    size_t last = i;
    while (last + 1 < v.size() && v[last + 1] == v[last] + 1) ++last;
    out +=
        fmt::format("{}{}{}", i > 0 ? "," : "", v[i], last > i ? fmt::format("-{}", v[last]) : "");
    i = last + 1;
    if (out.size() > 500) return out + ",...";
  }
  return out;
}

std::string Multiprocessor::deadlock_report() {
  std::map<std::string, std::vector<unsigned>> by_place;
  for (unsigned i = 0; i < block_threads_; ++i) {
    const Thread& t = threads_[i];
    by_place[t.state == State::done ? "have exited"
                                    : fmt::format("wait in {} at {}", t.operation, text(t.site))]
        .push_back(i);
  }
  const uint3 b = threads_[0].block_index;
  std::string report = fmt::format("deadlock in block ({},{},{}):", b.x, b.y, b.z);
  for (const auto& [place, threads] : by_place)
    report += fmt::format("\n    {} threads {}: {}", threads.size(), place, ranges(threads));
  return report;
}

// Reports asynchronous work without a wait, and writes past the end of shared memory.
std::string Multiprocessor::leftover_report() {
  for (const Warpgroup& group : warpgroups_)
    if (!group.products.empty())
      return fmt::format("the block ends with a wgmma that nobody waited for, issued at {}",
                         text(group.products.first_site()));
  if (!bulk_copies.empty())
    return fmt::format("the block ends with a TMA load that nobody waited for, issued at {}",
                       text(bulk_copies.first_site()));
  return shared.overflow_report();
}

}  // namespace assay::emulator
