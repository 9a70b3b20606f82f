// The shared memory of one multiprocessor.
//
// An arena of 256 KiB: first the dynamic part (at 1024, so that address 0 stays invalid), then the
// static variables in the order in which threads first reach their declarations. Between them lie
// red zones with a known pattern: one that has changed when the block ends was overrun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace assay::emulator {

class SharedMemory {
 public:
  static constexpr size_t kBytes = 256 << 10;  ///< size of the arena
  static constexpr size_t kDynamicBase = 1024;
  static constexpr size_t kMaxBytes = 227 << 10;       ///< a block may use (sm_90)
  static constexpr size_t kMaxStaticBytes = 48 << 10;  ///< a limit of the language

  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// Forgets the static variables; the dynamic part and all new variables hold 0xFF (NaN).
  void begin_block(size_t dynamic_bytes);
  void* dynamic() const { return arena_ + kDynamicBase; }
  void* variable(int id, size_t bytes, size_t align);

  bool contains(const void* p) const { return offset(p) < kBytes; }
  /// Offset of `p` from the start of the arena; kBytes or more for an address outside.
  size_t offset(const void* p) const {
    return static_cast<size_t>(reinterpret_cast<uintptr_t>(p) -
                               reinterpret_cast<uintptr_t>(arena_));
  }
  unsigned char* at(size_t offset) const { return arena_ + offset; }
  /// Whether [offset, offset + bytes) lies in one variable or in the dynamic part.
  bool in_variable(size_t offset, size_t bytes) const;
  /// End of what the block has used so far.
  size_t used() const { return top_; }
  /// Names a variable that was written past its end; "" if there is none.
  std::string overflow_report() const;

 private:
  struct Region {
    size_t begin, end;
  };
  void add_region(size_t begin, size_t bytes);

  unsigned char* mapping_;
  unsigned char* arena_;
  std::vector<void*> variables_;  // by id; nullptr: not reached in this block
  std::vector<Region> regions_;   // [0] is the dynamic part
  size_t top_ = 0, static_bytes_ = 0, dynamic_bytes_ = 0;
};

}  // namespace assay::emulator
