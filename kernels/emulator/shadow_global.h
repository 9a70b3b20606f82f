// Shadow of global memory: races between threads, between blocks and between streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "kernels/emulator/clocks.h"
#include "kernels/emulator/shadow_shared.h"

namespace assay::emulator {

/// An operation of a stream (a launch, a copy), with its place in the order of all operations.
struct StreamOperation {
  uint32_t stream = 0;    ///< index of its stream
  uint32_t position = 0;  ///< in that stream, from 1
  /// before[s]: operations of stream s up to this position happened before this one.
  std::vector<uint32_t> before;
};

/// The shadow of global memory; there is one, because checked blocks run on one OS thread.
class GlobalShadow {
 public:
  static GlobalShadow& instance();

  void begin_operation(const StreamOperation& operation);
  void begin_block() { seen_blocks_.clear(); }

  /// Thread `thread` of block `block` accesses device memory. Reports races and out of bounds.
  void access(const Clocks& clocks, uint32_t block, unsigned thread, uintptr_t address,
              size_t bytes, AccessKind kind, const void* pc);
  /// A copy or a memset reads or writes device memory.
  void copy_access(uintptr_t address, size_t bytes, AccessKind kind);

  /// Block `block` publishes what its threads have done (`view`: the clock of the publisher).
  void release(const void* object, uint32_t block, const Clocks::Vector& view);
  /// The running block has seen what was published on `object`.
  void acquire(const void* object);

 private:
  static constexpr uint32_t kCopy = 0xffffffffu;  // the "block" of a copy
  struct Cell {
    const void* pc;
    uint32_t operation;
    uint32_t block;
    uint32_t time;
    uint16_t thread;
    uint8_t bytes;
    uint8_t kind : 3;
    uint8_t several_blocks : 1;  // only for reads
  };
  struct Word {
    Cell write, read;
  };
  struct Accessor {
    const Clocks* clocks;  // nullptr: a copy
    uint32_t block;
    unsigned thread;
  };
  GlobalShadow();
  void access_word(const Accessor& who, uintptr_t address, uint8_t mask, AccessKind kind,
                   const void* pc);
  bool ordered(const Cell& cell, const Accessor& who) const;
  void report(const Cell& cell, const Accessor& who, AccessKind kind, const void* pc) const;

  Word* words_;
  StreamOperation operation_;
  uint32_t number_ = 0;                                // of the operation
  std::vector<std::pair<uint32_t, uint32_t>> places_;  // of all operations: (stream, position)
  // Within one operation: what blocks have published, by object, and what the running block has
  // seen.
  using Views = std::unordered_map<uint32_t, Clocks::Vector>;
  std::unordered_map<const void*, Views> published_;
  Views seen_blocks_;
};

}  // namespace assay::emulator
