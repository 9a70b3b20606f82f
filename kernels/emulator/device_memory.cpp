#include "kernels/emulator/device_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "kernels/emulator/config.h"
#include "kernels/runtime/error.h"

namespace assay::emulator {
namespace {

constexpr size_t kRange = size_t{32} << 30;  // addresses, not memory
constexpr size_t kPage = 4096;

class Heap {
 public:
  Heap() {
    void* base =
        mmap(nullptr, kRange, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSAY_CHECK(base != MAP_FAILED, "emulator: cannot reserve addresses for device memory");
    base_ = reinterpret_cast<uintptr_t>(base);
  }

  void* allocate(size_t bytes) {
    const std::lock_guard lock(mutex_);
    const size_t body = (bytes + 15) / 16 * 16 + (bytes == 0 ? 16 : 0);
    const size_t pages = (body + kPage - 1) / kPage * kPage;
    if (in_use_ + pages > config().memory_bytes) return nullptr;
    const uintptr_t start = take_addresses(pages);
    if (start == 0) return nullptr;
    auto* p = reinterpret_cast<unsigned char*>(start);
    if (mprotect(p, pages, PROT_READ | PROT_WRITE) != 0) return nullptr;
    std::memset(p, 0xFF, pages);
    in_use_ += pages;
    const uintptr_t address = start + pages - body;
    live_[address] = {bytes, start, pages};
    return reinterpret_cast<void*>(address);
  }

  bool free(void* p) {
    const std::lock_guard lock(mutex_);
    const auto it = live_.find(reinterpret_cast<uintptr_t>(p));
    if (it == live_.end()) return false;
    const Allocation a = it->second;
    madvise(reinterpret_cast<void*>(a.start), a.pages, MADV_DONTNEED);
    mprotect(reinterpret_cast<void*>(a.start), a.pages, PROT_NONE);
    in_use_ -= a.pages;
    free_[a.pages].push_back(a.start);
    live_.erase(it);
    last_begin_ = last_end_ = 0;
    return true;
  }

  bool covers(uintptr_t address, size_t bytes) {
    // Every access of a checked kernel asks, mostly about the allocation of the last access.
    if (address >= last_begin_ && address + bytes <= last_end_) return true;
    const std::lock_guard lock(mutex_);
    auto it = live_.upper_bound(address);
    if (it == live_.begin()) return false;
    --it;
    if (address + bytes > it->first + it->second.bytes) return false;
    last_begin_ = it->first;
    last_end_ = it->first + it->second.bytes;
    return true;
  }

  size_t in_use() const { return in_use_; }
  uintptr_t base() const { return base_; }

 private:
  struct Allocation {
    size_t bytes;
    uintptr_t start;
    size_t pages;  // bytes of whole pages
  };

  // Takes fresh addresses first, so that a freed range faults as long as possible.
  uintptr_t take_addresses(size_t pages) {
    if (top_ + pages + kPage <= kRange) {
      const uintptr_t start = base_ + top_;
      top_ += pages + kPage;
      return start;
    }
    std::deque<uintptr_t>& freed = free_[pages];
    if (freed.empty()) return 0;
    const uintptr_t start = freed.front();
    freed.pop_front();
    return start;
  }

  std::mutex mutex_;
  uintptr_t base_;
  size_t top_ = kPage, in_use_ = 0;
  std::map<uintptr_t, Allocation> live_;
  std::map<size_t, std::deque<uintptr_t>> free_;
  uintptr_t last_begin_ = 0, last_end_ = 0;  // only checked kernels, on one OS thread, use these
};

Heap& heap() {
  static auto* h = new Heap;  // leaked on purpose: tensors may outlive main()
  return *h;
}

}  // namespace

void* allocate_device_memory(size_t bytes) {
  return heap().allocate(bytes);
}
bool free_device_memory(void* p) {
  return heap().free(p);
}
size_t device_memory_in_use() {
  return heap().in_use();
}
bool is_device_address(uintptr_t address) {
  return address - heap().base() < kRange;
}
uintptr_t device_offset(uintptr_t address) {
  return address - heap().base();
}
size_t device_address_bytes() {
  return kRange;
}
bool in_allocation(uintptr_t address, size_t bytes) {
  return heap().covers(address, bytes);
}

}  // namespace assay::emulator
