// Shadow of shared memory: the last accesses to each 32-bit word, and its state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/emulator/clocks.h"

namespace assay::emulator {

class Multiprocessor;

/// What an access does; a bit set.
enum AccessKind : uint8_t {
  kRead = 0,
  kWrite = 1,
  kAtomic = 2,
  kAsync = 4,
  kAtomicUpdate = 3,
  kAsyncWrite = 5
};
/// "write", "async copy", ...
const char* name_of(AccessKind kind);

class SharedShadow {
 public:
  SharedShadow(Multiprocessor& mp, Clocks& clocks) : mp_(mp), clocks_(clocks) {}
  void begin_block();

  /// Thread `thread` accesses [offset, offset + bytes) of the arena; reports an error if there is
  /// one.
  void access(unsigned thread, size_t offset, size_t bytes, AccessKind kind, const void* pc);
  /// From issue to completion, the bytes belong to an asynchronous copy.
  void set_pending(size_t offset, size_t bytes);
  /// The copy that `thread` issued has ended: its writes count as made now.
  void clear_pending(size_t offset, size_t bytes, unsigned thread);
  /// Counts the wgmma in flight that read these words.
  void add_wgmma_readers(size_t offset, size_t bytes, int delta);
  /// Reports generic writes that no fence.proxy.async has made visible to the tensor cores.
  void require_proxy_fence(size_t offset, size_t bytes, const void* pc);

 private:
  // The last accesses to a word: up to four, of different threads or kinds. A fifth replaces one
  // that is ordered before it, or else a random one; then a race can be missed, but never invented.
  struct Cell {
    const void* pc;
    uint32_t time;
    uint16_t thread;
    uint8_t bytes;  // mask of the four bytes; 0: empty
    uint8_t kind;
  };
  struct Word {
    Cell cells[4];
    uint8_t initialised, pending;  // masks of bytes
    uint8_t wgmma_readers;
  };
  void access_word(Word& word, unsigned thread, size_t offset, uint8_t mask, AccessKind kind,
                   const void* pc);
  Cell& cell_for(Word& word, unsigned thread, size_t offset, uint8_t mask, AccessKind kind,
                 const void* pc);
  std::string place(size_t offset) const;

  Multiprocessor& mp_;
  Clocks& clocks_;
  std::vector<Word> words_;
  size_t touched_ = 0;  // end of the words that are not clean
};

}  // namespace assay::emulator
