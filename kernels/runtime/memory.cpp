#include "kernels/runtime/memory.h"

#include <bit>
#include <cstdlib>
#include <new>

#include "kernels/runtime/context.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

// Four classes per power of two: at most 25 % of a block is waste.
size_t size_class(size_t bytes) {
  constexpr size_t kSmallest = 256;
  if (bytes <= kSmallest) return kSmallest;
  const size_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

struct SystemMemory final : MemorySource {
  // 2 MiB alignment lets the kernel back big blocks with huge pages.
  void* take(size_t bytes) override {
    const size_t align = bytes >= (size_t{1} << 21) ? size_t{1} << 21 : 64;
    return std::aligned_alloc(align, (bytes + align - 1) / align * align);
  }
  void give(void* block, size_t) noexcept override { std::free(block); }
  const char* name() const override { return "cpu"; }
};

}  // namespace

Allocator::~Allocator() {
  trim();
}

void* Allocator::allocate(size_t bytes) {
  const size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  void* block = take_cached(size);
  if (block == nullptr) {
    ++stats_.system_calls;
    block = source_.take(size);
    if (block == nullptr && stats_.cached > 0) {  // free the cache and try once more
      for (auto& [cached_size, blocks] : cache_) {
        for (void* cached : blocks) source_.give(cached, cached_size);
        blocks.clear();
      }
      stats_.cached = 0;
      block = source_.take(size);
    }
    ASSAY_CHECK_AS(
        SystemError, block != nullptr,
        "out of memory on {}: asked for {} bytes with {} in use{}{}; try a smaller --batch",
        source_.name(), bytes, stats_.live, source_.free_bytes() < 0 ? "" : " and ",
        source_.free_bytes() < 0 ? "" : fmt::format("{} free", source_.free_bytes()));
  }
  stats_.live += static_cast<int64_t>(size);
  if (stats_.live > stats_.peak) stats_.peak = stats_.live;
  return block;
}

void* Allocator::take_cached(size_t size) {
  for (size_t cached = size; cached <= 2 * size; cached = size_class(cached + 1)) {
    const auto found = cache_.find(cached);
    if (found == cache_.end() || found->second.empty()) continue;
    void* block = found->second.back();
    if (cached != size) larger_[block] = cached;
    found->second.pop_back();
    stats_.cached -= static_cast<int64_t>(cached);
    return block;
  }
  return nullptr;
}

void Allocator::deallocate(void* block, size_t bytes) noexcept {
  size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  stats_.live -= static_cast<int64_t>(size);
  if (const auto larger = larger_.find(block); larger != larger_.end()) {
    size = larger->second;
    larger_.erase(larger);
  }
  try {
    cache_[size].push_back(block);
    stats_.cached += static_cast<int64_t>(size);
  } catch (const std::bad_alloc&) {  // not even a place in the list is left
    source_.give(block, size);
  }
}

MemoryStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak = stats_.live;
}

void Allocator::trim() noexcept {
  const std::lock_guard lock(mutex_);
  for (auto& [size, blocks] : cache_) {
    for (void* block : blocks) source_.give(block, size);
    blocks.clear();
  }
  stats_.cached = 0;
}

Allocator& cpu_allocator() {
  static auto* source = new SystemMemory;  // leaked on purpose: tensors may outlive main()
  static auto* allocator = new Allocator(*source);
  return *allocator;
}

Scratch::Scratch(Context& ctx, size_t bytes) : Scratch(*ctx.memory, bytes) {}

}  // namespace assay
