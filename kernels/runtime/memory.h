// One caching allocator for every device, and the scratch blocks that kernels take from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace assay {

/// Bytes of an allocator, as seen by its user.
struct MemoryStats {
  int64_t live = 0;          ///< bytes in use, as requested and rounded to size classes
  int64_t peak = 0;          ///< maximum of `live`
  int64_t cached = 0;        ///< free bytes held for reuse
  int64_t system_calls = 0;  ///< requests to the source: constant in a warmed-up step
};

/// The source of an Allocator's blocks: the system's memory or a device's.
struct MemorySource {
  virtual ~MemorySource() = default;
  /// At least `bytes` bytes, aligned to 64 or more; nullptr if there are no more.
  virtual void* take(size_t bytes) = 0;
  virtual void give(void* block, size_t bytes) noexcept = 0;
  /// Bytes that the source could still give, for the message of an out-of-memory error; -1 if
  /// unknown.
  virtual int64_t free_bytes() const { return -1; }
  virtual const char* name() const = 0;
};

/// A caching allocator with size classes (four per power of two). Freed blocks are kept for
/// requests of their size down to half of it, so a warmed-up training step asks the system for
/// nothing. Thread-safe.
class Allocator {
 public:
  explicit Allocator(MemorySource& source) : source_(source) {}
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  /// A block of at least `bytes`, aligned to 64; 0 gives a valid block too. SystemError, with the
  /// bytes requested, held and free, if the source has no more.
  void* allocate(size_t bytes);
  /// `block` must come from allocate(bytes) with the same `bytes`.
  void deallocate(void* block, size_t bytes) noexcept;
  MemoryStats stats() const;
  /// The source of the blocks, where a test can take memory of exactly the size that it needs.
  MemorySource& source() const { return source_; }
  void reset_peak();
  /// Returns every cached block to the system.
  void trim() noexcept;

 private:
  void* take_cached(size_t size);

  MemorySource& source_;
  mutable std::mutex mutex_;
  std::unordered_map<size_t, std::vector<void*>> cache_;  // size class -> free blocks
  std::unordered_map<void*, size_t> larger_;  // blocks in use that are of a larger class
  MemoryStats stats_;
};

/// The allocator of ordinary memory. Lives as long as the process (leaked on purpose).
Allocator& cpu_allocator();

struct Context;

/// A block of the context's memory until the end of a scope.
class Scratch {
 public:
  Scratch() = default;
  Scratch(Allocator& memory, size_t bytes)
      : memory_(&memory), block_(memory.allocate(bytes)), bytes_(bytes) {}
  Scratch(Context& ctx, size_t bytes);
  ~Scratch() {
    if (block_ != nullptr) memory_->deallocate(block_, bytes_);
  }
  Scratch(Scratch&& other) noexcept { swap(other); }
  Scratch& operator=(Scratch&& other) noexcept {
    swap(other);
    return *this;
  }
  void swap(Scratch& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(block_, other.block_);
    std::swap(bytes_, other.bytes_);
  }

  template <class T>
  T* as() const {
    return static_cast<T*>(block_);
  }
  size_t bytes() const { return bytes_; }

 private:
  Allocator* memory_ = nullptr;
  void* block_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace assay
