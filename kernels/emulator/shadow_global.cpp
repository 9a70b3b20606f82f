#include "kernels/emulator/shadow_global.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include "kernels/emulator/device_memory.h"
#include "kernels/emulator/machine.h"
#include "kernels/emulator/report.h"

namespace assay::emulator {

GlobalShadow& GlobalShadow::instance() {
  static auto* shadow = new GlobalShadow;  // leaked on purpose, as the memory that it shadows
  return *shadow;
}

// 12 times the device's range; the system allocates only the pages that are written.
GlobalShadow::GlobalShadow() {
  void* words = mmap(nullptr, device_address_bytes() / 4 * sizeof(Word), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSAY_CHECK(words != MAP_FAILED, "emulator: no addresses for the shadow of device memory");
  words_ = static_cast<Word*>(words);
  places_.push_back({0, 0});
}

void GlobalShadow::begin_operation(const StreamOperation& operation) {
  operation_ = operation;
  number_ = static_cast<uint32_t>(places_.size());
  places_.push_back({operation.stream, operation.position});
  published_.clear();
}

void GlobalShadow::release(const void* object, uint32_t block, const Clocks::Vector& view) {
  published_[object][block] = view;
}

void GlobalShadow::acquire(const void* object) {
  for (const auto& [block, view] : published_[object]) {
    Clocks::Vector& seen = seen_blocks_[block];
    seen.resize(view.size());
    for (size_t u = 0; u < view.size(); ++u) seen[u] = std::max(seen[u], view[u]);
  }
}

bool GlobalShadow::ordered(const Cell& cell, const Accessor& who) const {
  if (cell.operation != number_) {
    const auto [stream, position] = places_[cell.operation];
    return stream < operation_.before.size() && operation_.before[stream] >= position;
  }
  if (cell.several_blocks) return false;
  if (cell.block == who.block)
    return who.clocks == nullptr || cell.thread == who.thread ||
           who.clocks->ordered(cell.thread, cell.time, who.thread);
  const auto view = seen_blocks_.find(cell.block);
  return view != seen_blocks_.end() && view->second[cell.thread] >= cell.time;
}

void GlobalShadow::report(const Cell& cell, const Accessor& who, AccessKind kind,
                          const void* pc) const {
  const auto line = [](uint32_t block, const void* address) {
    return block == kCopy ? std::string("a copy") : source_line(address);
  };
  std::string other = fmt::format("{} by ", name_of(static_cast<AccessKind>(cell.kind)));
  if (cell.block != kCopy) other += fmt::format("block {} thread {} at ", cell.block, cell.thread);
  other += line(cell.block, cell.pc);
  const std::string here = fmt::format("{} at {}", name_of(kind), line(who.block, pc));
  if (cell.operation == number_) fail(fmt::format("global memory race: {}, {}", here, other));
  fail(
      fmt::format("global memory race between streams: {} in stream {}, {} in stream {}; no event "
                  "or synchronisation orders them",
                  here, operation_.stream, other, places_[cell.operation].first));
}

void GlobalShadow::access(const Clocks& clocks, uint32_t block, unsigned thread, uintptr_t address,
                          size_t bytes, AccessKind kind, const void* pc) {
  if (!in_allocation(address, bytes))
    fail(fmt::format("global memory {} of {} bytes out of bounds or freed, at {}", name_of(kind),
                     bytes, source_line(pc)));
  const Accessor who{&clocks, block, thread};
  for (uintptr_t b = address; b < address + bytes;) {
    const uintptr_t end = std::min(address + bytes, (b | 3) + 1);
    access_word(who, b, static_cast<uint8_t>(((1u << (end - b)) - 1) << (b & 3)), kind, pc);
    b = end;
  }
}

void GlobalShadow::copy_access(uintptr_t address, size_t bytes, AccessKind kind) {
  const Accessor who{nullptr, kCopy, 0};
  for (uintptr_t b = address & ~uintptr_t{3}; b < address + bytes; b += 4)
    access_word(who, b, 0xF, kind, nullptr);
}

void GlobalShadow::access_word(const Accessor& who, uintptr_t address, uint8_t mask,
                               AccessKind kind, const void* pc) {
  Word& word = words_[device_offset(address) / 4];
  const auto compare = [&](const Cell& cell) {
    if ((cell.bytes & mask) != 0 && (cell.kind & kind & kAtomic) == 0 && !ordered(cell, who))
      report(cell, who, kind, pc);
  };
  compare(word.write);
  if ((kind & kWrite) != 0) compare(word.read);
  Cell& cell = (kind & kWrite) != 0 ? word.write : word.read;
  const bool several = (kind & kWrite) == 0 && cell.bytes != 0 && cell.operation == number_ &&
                       (cell.block != who.block || cell.several_blocks);
  cell.pc = pc;
  cell.operation = number_;
  cell.block = who.block;
  cell.time = who.clocks == nullptr ? 0 : who.clocks->now(who.thread);
  cell.thread = static_cast<uint16_t>(who.thread);
  cell.bytes = mask;
  cell.kind = kind & 7;
  cell.several_blocks = several;
}

}  // namespace assay::emulator
