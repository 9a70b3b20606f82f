#include "kernels/emulator/shadow_shared.h"

#include <fmt/core.h>

#include "kernels/emulator/multiprocessor.h"
#include "kernels/emulator/report.h"

namespace assay::emulator {
namespace {

// Calls f(byte offset, mask of the bytes inside of its word) for each word of a range.
template <class F>
void for_each_word(size_t offset, size_t bytes, const F& f) {
  for (size_t b = offset; b < offset + bytes;) {
    const size_t end = std::min(offset + bytes, (b | 3) + 1);
    f(b, static_cast<uint8_t>(((1u << (end - b)) - 1) << (b & 3)));
    b = end;
  }
}

}  // namespace

const char* name_of(AccessKind kind) {
  return (kind & kAsync) != 0    ? "async copy"
         : (kind & kAtomic) != 0 ? "atomic"
         : (kind & kWrite) != 0  ? "write"
                                 : "read";
}

void SharedShadow::begin_block() {
  words_.resize(SharedMemory::kBytes / 4);
  std::fill(words_.begin(), words_.begin() + static_cast<ptrdiff_t>(touched_), Word{});
  touched_ = 0;
}

std::string SharedShadow::place(size_t offset) const {
  return fmt::format("(offset {} from the start of dynamic shared memory)",
                     static_cast<int64_t>(offset) - int64_t{SharedMemory::kDynamicBase});
}

void SharedShadow::access(unsigned thread, size_t offset, size_t bytes, AccessKind kind,
                          const void* pc) {
  if (!mp_.shared.in_variable(offset, bytes))
    fail(fmt::format("shared memory {} of {} bytes out of bounds at {} {}", name_of(kind), bytes,
                     source_line(pc), place(offset)));
  touched_ = std::max(touched_, (offset + bytes + 3) / 4);
  for_each_word(offset, bytes, [&](size_t b, uint8_t mask) {
    access_word(words_[b / 4], thread, b, mask, kind, pc);
  });
}

void SharedShadow::access_word(Word& word, unsigned thread, size_t offset, uint8_t mask,
                               AccessKind kind, const void* pc) {
  if ((word.pending & mask) != 0)
    fail(fmt::format(
        "shared memory {} at {} of data that an unfinished asynchronous copy is writing {}",
        name_of(kind), source_line(pc), place(offset)));
  if ((kind & kWrite) != 0) {
    if (word.wgmma_readers != 0)
      fail(fmt::format(
          "shared memory {} at {} while a wgmma that nobody has waited for still reads it {}",
          name_of(kind), source_line(pc), place(offset)));
    word.initialised |= mask;
  } else if ((word.initialised & mask) != mask) {
    fail(fmt::format("read of uninitialised shared memory at {} {}", source_line(pc),
                     place(offset)));
  }
  cell_for(word, thread, offset, mask, kind, pc) = {pc, clocks_.now(thread),
                                                    static_cast<uint16_t>(thread), mask, kind};
}

// Compares the access with the remembered ones, and chooses where to remember it.
SharedShadow::Cell& SharedShadow::cell_for(Word& word, unsigned thread, size_t offset, uint8_t mask,
                                           AccessKind kind, const void* pc) {
  Cell *chosen = nullptr, *ordered = nullptr;
  for (Cell& c : word.cells) {
    if (c.bytes == 0) {
      if (chosen == nullptr) chosen = &c;
    } else if (c.thread == thread) {
      if (c.bytes == mask && (c.kind == kind || (kind & kWrite) != 0)) chosen = &c;
    } else if (clocks_.ordered(c.thread, c.time, thread)) {
      ordered = &c;
    } else if ((c.bytes & mask) != 0 && ((c.kind | kind) & kWrite) != 0 &&
               (c.kind & kind & kAtomic) == 0) {
      fail(fmt::format("shared memory race: {} at {}, {} by thread {} at {}, no barrier between {}",
                       name_of(kind), source_line(pc), name_of(static_cast<AccessKind>(c.kind)),
                       c.thread, source_line(c.pc), place(offset)));
    }
  }
  if (chosen != nullptr) return *chosen;
  return ordered != nullptr ? *ordered : word.cells[mp_.random() % 4];
}

void SharedShadow::set_pending(size_t offset, size_t bytes) {
  for_each_word(offset, bytes, [&](size_t b, uint8_t mask) {
    words_[b / 4].pending = static_cast<uint8_t>(words_[b / 4].pending | mask);
  });
}

void SharedShadow::clear_pending(size_t offset, size_t bytes, unsigned thread) {
  for_each_word(offset, bytes, [&](size_t b, uint8_t mask) {
    Word& word = words_[b / 4];
    word.pending = static_cast<uint8_t>(word.pending & ~mask);
    for (Cell& c : word.cells)
      if (c.thread == thread && (c.kind & kAsync) != 0) c.time = clocks_.now(thread);
  });
}

void SharedShadow::add_wgmma_readers(size_t offset, size_t bytes, int delta) {
  for_each_word(offset, bytes, [&](size_t b, uint8_t) {
    words_[b / 4].wgmma_readers = static_cast<uint8_t>(words_[b / 4].wgmma_readers + delta);
  });
}

void SharedShadow::require_proxy_fence(size_t offset, size_t bytes, const void* pc) {
  for_each_word(offset, bytes, [&](size_t b, uint8_t) {
    for (const Cell& c : words_[b / 4].cells)
      if (c.bytes != 0 && (c.kind & kWrite) != 0 && (c.kind & kAsync) == 0 &&
          !clocks_.fenced(c.thread, c.time))
        fail(
            fmt::format("wgmma at {} reads shared memory that thread {} wrote at {} without a "
                        "fence.proxy.async after it",
                        source_line(pc), c.thread, source_line(c.pc)));
  });
}

}  // namespace assay::emulator
