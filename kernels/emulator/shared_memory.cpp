#include "kernels/emulator/shared_memory.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>

#include "kernels/emulator/multiprocessor.h"

namespace assay::emulator {
namespace {
constexpr size_t kRedZone = 64;
constexpr unsigned char kRed = 0xA5, kPoison = 0xFF;
constexpr size_t kAlign = 64 << 10;  // alignment of the arena, more than any swizzle needs
constexpr size_t round_up(size_t n, size_t to) {
  return (n + to - 1) / to * to;
}
}  // namespace

// Inaccessible pages surround the arena, so that an index far out of bounds faults in the fast
// build too.
SharedMemory::SharedMemory() {
  void* mapping = mmap(nullptr, kBytes + 2 * kAlign, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSAY_CHECK(mapping != MAP_FAILED, "emulator: no memory for an arena of shared memory");
  mapping_ = static_cast<unsigned char*>(mapping);
  const uintptr_t start = round_up(reinterpret_cast<uintptr_t>(mapping_) + 1, kAlign);
  arena_ = reinterpret_cast<unsigned char*>(start);
  mprotect(arena_, kBytes, PROT_READ | PROT_WRITE);
}
SharedMemory::~SharedMemory() {
  munmap(mapping_, kBytes + 2 * kAlign);
}

void SharedMemory::add_region(size_t begin, size_t bytes) {
  std::memset(arena_ + begin, kPoison, bytes);
  std::memset(arena_ + begin + bytes, kRed, kRedZone);
  regions_.push_back({begin, begin + bytes});
  top_ = begin + bytes + kRedZone;
}

void SharedMemory::begin_block(size_t dynamic_bytes) {
  std::fill(variables_.begin(), variables_.end(), nullptr);
  regions_.clear();
  static_bytes_ = 0;
  dynamic_bytes_ = dynamic_bytes;
  add_region(kDynamicBase, dynamic_bytes);
}

void* SharedMemory::variable(int id, size_t bytes, size_t align) {
  if (static_cast<size_t>(id) >= variables_.size()) variables_.resize(static_cast<size_t>(id) + 1);
  void*& where = variables_[static_cast<size_t>(id)];
  if (where == nullptr) {
    static_bytes_ += bytes;
    if (static_bytes_ > kMaxStaticBytes)
      fail(fmt::format("the block uses {} bytes of static shared memory; the most is {}",
                       static_bytes_, kMaxStaticBytes));
    if (static_bytes_ + dynamic_bytes_ > kMaxBytes)
      fail(fmt::format("the block uses {} bytes of shared memory; the most is {}",
                       static_bytes_ + dynamic_bytes_, kMaxBytes));
    add_region(round_up(top_, align), bytes);
    where = arena_ + regions_.back().begin;
  }
  return where;
}

bool SharedMemory::in_variable(size_t offset, size_t bytes) const {
  for (const Region& r : regions_)
    if (offset >= r.begin && offset + bytes <= r.end) return true;
  return false;
}

std::string SharedMemory::overflow_report() const {
  for (size_t r = 0; r < regions_.size(); ++r)
    for (size_t i = 0; i < kRedZone; ++i)
      if (arena_[regions_[r].end + i] != kRed)
        return fmt::format(
            "shared memory was written past the end of {} ({} bytes), {} bytes behind it",
            r == 0 ? std::string("the dynamic part") : fmt::format("static variable {}", r),
            regions_[r].end - regions_[r].begin, i);
  return {};
}

// ---- Entry points of kernels

void* dynamic_shared() {
  return multiprocessor->shared.dynamic();
}

int new_shared_variable() {
  static std::atomic<int> count{0};
  return count++;
}

void* shared_variable_storage(int id, size_t bytes, size_t align) {
  return multiprocessor->shared.variable(id, bytes, align);
}

uint32_t shared_address(const void* p) {
  if (!multiprocessor->shared.contains(p)) fail("the address is not in shared memory");
  return static_cast<uint32_t>(multiprocessor->shared.offset(p));
}

void* shared_pointer(uint32_t address, size_t bytes) {
  if (!multiprocessor->shared.in_variable(address, bytes))
    fail(
        fmt::format("an asynchronous or matrix access of {} bytes is out of the bounds of shared "
                    "memory (address {})",
                    bytes, address));
  return multiprocessor->shared.at(address);
}

}  // namespace assay::emulator
