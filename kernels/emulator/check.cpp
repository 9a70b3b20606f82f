#include "kernels/emulator/check.h"

#include <fmt/core.h>

#include "kernels/emulator/device_memory.h"
#include "kernels/emulator/instructions.h"
#include "kernels/emulator/multiprocessor.h"
#include "kernels/emulator/report.h"

namespace assay::emulator {

namespace {
bool compiled_for_check = false;
}  // namespace
bool instrumented() {
  return compiled_for_check;
}
void set_instrumented() {
  compiled_for_check = true;
}

void Checker::begin_block() {
  clocks_.begin_block(mp_.size());
  shared_.begin_block();
  GlobalShadow::instance().begin_block();
  if (config().profile) profiler_.begin_block((mp_.size() + 31) / 32);
}

void Checker::end_block() {
  if (config().profile) profiler_.end_block();
}

unsigned Checker::block_number() const {
  const BuiltIns& b = *current;
  return b.block_index.x + b.grid_size.x * (b.block_index.y + b.grid_size.y * b.block_index.z);
}

// ---- synchronisation

void Checker::barrier(const std::vector<Thread*>& threads, bool whole_block) {
  if (whole_block) return clocks_.meet_all();
  Clocks::Vector view;
  for (const Thread* t : threads) clocks_.release(t->index, view);
  for (const Thread* t : threads) clocks_.acquire(t->index, view);
}

void Checker::release(Clocks::Vector& into) {
  clocks_.release(mp_.running().index, into);
}
void Checker::acquire(const Clocks::Vector& from) {
  clocks_.acquire(mp_.running().index, from);
}
void Checker::fence_proxy() {
  clocks_.fence_proxy(mp_.running().index);
}

void Checker::release_to_blocks(const void* object) {
  Clocks::Vector view;
  clocks_.release(mp_.running().index, view);
  GlobalShadow::instance().release(object, block_number(), view);
}
void Checker::acquire_from_blocks(const void* object) {
  GlobalShadow::instance().acquire(object);
}

// ---- accesses

void Checker::access(const void* p, size_t bytes, AccessKind kind, const void* pc, bool aligned) {
  const Thread& me = mp_.running();
  const auto address = reinterpret_cast<uintptr_t>(p);
  const bool misaligned = aligned && (address & (bytes - 1)) != 0;
  const bool write = (kind & kWrite) != 0;
  if (mp_.shared.contains(p)) {
    ++mp_.statistics.accesses_checked;
    if (misaligned) fail(fmt::format("misaligned shared memory access at {}", source_line(pc)));
    const size_t offset = mp_.shared.offset(p);
    if (config().profile) profiler_.access(me.warp, me.lane, offset, bytes, pc, false, write);
    shared_.access(me.index, offset, bytes, kind, pc);
  } else if (is_device_address(address)) {
    ++mp_.statistics.accesses_checked;
    if (misaligned) fail(fmt::format("misaligned global memory access at {}", source_line(pc)));
    if (config().profile) profiler_.access(me.warp, me.lane, address, bytes, pc, true, write);
    GlobalShadow::instance().access(clocks_, block_number(), me.index, address, bytes, kind, pc);
  } else if (mp_.stacks().contains(p) && !mp_.stacks().in_stack(me.index, p)) {
    fail(fmt::format("access to another thread's local memory at {}", source_line(pc)));
  }
}

void Checker::collective_read(const void* p, size_t bytes, unsigned thread) {
  const void* pc = code_address(mp_.running().site);
  const size_t offset = mp_.shared.offset(p);
  if (config().profile) profiler_.access(thread / 32, thread % 32, offset, bytes, pc, false, false);
  shared_.access(thread, offset, bytes, kRead, pc);
}

void Checker::async_write_begins(const void* shared, size_t bytes, const void* global, Site site) {
  const Thread& me = mp_.running();
  const void* pc = code_address(site);
  const size_t offset = mp_.shared.offset(shared);
  shared_.access(me.index, offset, bytes, kAsyncWrite, pc);
  shared_.set_pending(offset, bytes);
  const auto source = reinterpret_cast<uintptr_t>(global);
  const bool from_device = global != nullptr && is_device_address(source);
  if (from_device)
    GlobalShadow::instance().access(clocks_, block_number(), me.index, source, bytes, kRead, pc);
  if (config().profile && bytes <= 16) {  // cp.async: one instruction, two memories
    profiler_.access(me.warp, me.lane, offset, bytes, pc, false, true);
    if (from_device)
      profiler_.access(me.warp, me.lane, source, bytes, static_cast<const char*>(pc) + 1, true,
                       false);
  }
}

void Checker::async_write_ends(const void* shared, size_t bytes, unsigned thread) {
  shared_.clear_pending(mp_.shared.offset(shared), bytes, thread);
}

void Checker::bulk_read(const void* global, size_t bytes, Site site) {
  GlobalShadow::instance().access(clocks_, block_number(), mp_.running().index,
                                  reinterpret_cast<uintptr_t>(global), bytes, kRead,
                                  code_address(site));
}

void Checker::bulk_write_ends(const void* shared, size_t bytes, unsigned thread,
                              Clocks::Vector& arriving) {
  shared_.clear_pending(mp_.shared.offset(shared), bytes, thread);
  clocks_.release(thread, arriving);
}

void Checker::wgmma_read(uint32_t address, size_t bytes, unsigned warpgroup, Site site, int delta) {
  const void* pc = code_address(site);
  shared_.add_wgmma_readers(address, bytes, delta);
  if (delta > 0) shared_.require_proxy_fence(address, bytes, pc);
  // Recorded for one of the four warps, chosen at random, because a word has few cells.
  const auto thread = 128 * warpgroup + 32 * static_cast<unsigned>(mp_.random() % 4);
  shared_.access(thread, address, bytes, kRead, pc);
}

// ---- Entry points of kernels and of the compiler's callbacks

namespace {
Checker* active_checker() {
  Multiprocessor* mp = multiprocessor;
  return mp != nullptr && mp->in_kernel() && mp->checking() ? mp->checker.get() : nullptr;
}
}  // namespace

void note_access(const void* p, size_t bytes, bool write, const void* pc) {
  if (Checker* c = active_checker()) c->access(p, bytes, write ? kWrite : kRead, pc, true);
}
void note_atomic(const void* p, size_t bytes) {
  if (Checker* c = active_checker())
    c->access(p, bytes, kAtomicUpdate, __builtin_return_address(0), true);
}
void note_release(const void* object) {
  if (Checker* c = active_checker()) c->release_to_blocks(object);
}
void note_acquire(const void* object) {
  if (Checker* c = active_checker()) c->acquire_from_blocks(object);
}
void fence_proxy_async() {
  if (Checker* c = active_checker()) c->fence_proxy();
}

}  // namespace assay::emulator
