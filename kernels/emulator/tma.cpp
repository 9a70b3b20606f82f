// The tensor memory accelerator: one thread asks for a box of a matrix, and the copy engine copies
// it to shared memory, swizzled and zero outside of the matrix, and counts its bytes off an
// mbarrier.
#include <fmt/core.h>

#include <cstring>

#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"

namespace assay::emulator {

TensorMap make_tensor_map(const void* base, uint64_t columns, uint64_t rows, uint64_t row_bytes,
                          uint32_t box_columns, uint32_t box_rows, uint32_t swizzle_bytes) {
  const auto check = [](bool holds, const char* what) {
    if (!holds) throw Error(fmt::format("tensor map: {}", what));
  };
  check(reinterpret_cast<uintptr_t>(base) % 16 == 0, "the address must be a multiple of 16");
  check(row_bytes % 16 == 0, "the bytes of a row must be a multiple of 16");
  check(box_columns >= 1 && box_columns <= 256 && box_rows >= 1 && box_rows <= 256,
        "a box has 1 to 256 elements each way");
  check(box_columns * 4 % 16 == 0, "the bytes of a row of the box must be a multiple of 16");
  check(swizzle_bytes == 0 || swizzle_bytes == 32 || swizzle_bytes == 64 || swizzle_bytes == 128,
        "a swizzle spans 0, 32, 64 or 128 bytes");
  check(swizzle_bytes == 0 || box_columns * 4 <= swizzle_bytes,
        "a row of the box is longer than the swizzle");
  return {base, columns, rows, row_bytes, box_columns, box_rows, swizzle_bytes};
}

// The 16-byte chunk number within a row is xor-ed with the number of the row within 8 (4, 2) rows:
// a column of the box then touches all banks.
uint32_t swizzled(uint32_t address, uint32_t swizzle_bytes) {
  switch (swizzle_bytes) {
    case 128:
      return address ^ (address >> 7 & 7) << 4;
    case 64:
      return address ^ (address >> 7 & 3) << 4;
    case 32:
      return address ^ (address >> 7 & 1) << 4;
    default:
      return address;
  }
}

namespace {

void copy_box(const BulkQueue::Load& load) {
  const TensorMap& map = load.map;
  const uint32_t base = shared_address(load.shared);
  for (uint32_t r = 0; r < map.box_rows; ++r)
    for (uint32_t c = 0; c < map.box_columns; ++c) {
      const uint32_t address = base + 4 * (r * map.box_columns + c);
      unsigned char* to = multiprocessor->shared.at(swizzled(address, map.swizzle_bytes));
      const int64_t x = int64_t{load.column} + c, y = int64_t{load.row} + r;
      if (x < 0 || y < 0 || x >= static_cast<int64_t>(map.columns) ||
          y >= static_cast<int64_t>(map.rows))
        std::memset(to, 0, 4);
      else
        std::memcpy(to,
                    static_cast<const unsigned char*>(map.base) +
                        y * static_cast<int64_t>(map.row_bytes) + 4 * x,
                    4);
    }
}

void finish(const BulkQueue::Load& load) {
  Multiprocessor& mp = *multiprocessor;
  copy_box(load);
  if (mp.checking())
    mp.checker->bulk_write_ends(load.shared, load.bytes, load.thread,
                                mp.memory_barriers.side(load.barrier).arriving);
  mp.memory_barriers.complete_bytes(load.barrier, load.bytes);
}

}  // namespace

void BulkQueue::issue(const Load& load) {
  if (!multiprocessor->happens_late()) return finish(load);
  std::memset(load.shared, 0xFF, load.bytes);
  loads_.push_back(load);
}

void BulkQueue::complete_one() {
  const size_t i =
      config().async == Async::random ? multiprocessor->random() % loads_.size() : size_t{0};
  const Load load = loads_[i];
  loads_.erase(loads_.begin() + static_cast<ptrdiff_t>(i));
  finish(load);
}

void tma_load_2d(void* shared, const TensorMap& map, uint64_t* barrier, int column, int row,
                 Site site) {
  const uint32_t bytes = 4 * map.box_columns * map.box_rows;
  const uint32_t address = shared_address(shared);
  if (address % 128 != 0)
    fail(fmt::format("TMA at {}: the destination must be a multiple of 128 bytes", text(site)));
  if (map.swizzle_bytes == 128 && address % 1024 != 0)
    fail(fmt::format("TMA at {}: a 128-byte swizzle needs a destination aligned to 1024",
                     text(site)));
  shared_pointer(address, bytes);
  memory_barrier_check(barrier, site);
  Multiprocessor& mp = *multiprocessor;
  if (mp.checking()) mp.checker->async_write_begins(shared, bytes, nullptr, site);
  mp.bulk_copies.issue({shared, map, barrier, column, row, bytes, mp.running().index, site});
}

}  // namespace assay::emulator
