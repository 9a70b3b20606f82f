// The tensor memory accelerator: one thread asks for a box of a tensor of up to five dimensions,
// and the copy engine copies it to shared memory, swizzled and zero outside of the tensor, and
// counts its bytes off an mbarrier.
#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"

namespace assay::emulator {

void check_tensor_map(const TensorMap& map) {
  const auto check = [](bool holds, const char* what) {
    if (!holds) throw Error(fmt::format("tensor map: {}", what));
  };
  check(map.rank >= 1 && map.rank <= 5, "a tensor has 1 to 5 dimensions");
  check(reinterpret_cast<uintptr_t>(map.base) % 16 == 0, "the address must be a multiple of 16");
  for (int i = 0; i < map.rank; ++i) {
    check(map.size[i] >= 1 && map.size[i] <= uint64_t{1} << 32,
          "a dimension has 1 to 2^32 elements");
    check(i == 0 || map.stride_bytes[i] % 16 == 0,
          "the bytes between rows, planes etc. must be a multiple of 16");
    check(i < 2 || map.stride_bytes[i] % map.stride_bytes[i - 1] == 0,
          "a stride must be a multiple of the one before");
    check(map.stride_bytes[i] < uint64_t{1} << 40, "a stride must be less than 2^40 bytes");
    check(map.box[i] >= 1 && map.box[i] <= 256, "a box spans 1 to 256 elements each way");
    check(map.step[i] >= 1 && map.step[i] <= 8, "the steps are 1 to 8");
  }
  check(map.step[0] == 1, "the innermost dimension has no step");
  const uint32_t row_bytes = map.box[0] * map.element_bytes(), swizzle = map.swizzle_bytes;
  check(row_bytes % 16 == 0, "the bytes of a row of the box must be a multiple of 16");
  check(swizzle == 0 || swizzle == 32 || swizzle == 64 || swizzle == 128,
        "a swizzle spans 0, 32, 64 or 128 bytes");
  check(swizzle == 0 || row_bytes <= swizzle, "a row of the box is longer than the swizzle");
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

// Calls f(offset in the box, global address or nullptr, first index inside, end of those inside)
// for each row of the box: elements of the row outside of the tensor are 0, all of them where the
// address is nullptr.
template <class F>
void for_each_row(const TensorMap& map, const int (&at)[5], const F& f) {
  const uint32_t element = map.element_bytes(), row_bytes = map.box[0] * element;
  const uint32_t rows = map.box_bytes() / row_bytes;
  const int64_t length = static_cast<int64_t>(map.size[0]);
  const int64_t begin = std::clamp<int64_t>(-int64_t{at[0]}, 0, map.box[0]);
  const int64_t end = std::clamp<int64_t>(length - at[0], begin, map.box[0]);
  for (uint32_t row = 0; row < rows; ++row) {
    bool inside = begin < end;
    const unsigned char* from =
        static_cast<const unsigned char*>(map.base) + at[0] * int64_t{element};
    for (uint32_t i = 1, rest = row; i < static_cast<uint32_t>(map.rank); ++i) {
      const uint32_t count = map.box_elements(static_cast<int>(i));
      const int64_t index = at[i] + int64_t{rest % count} * map.step[i];
      inside = inside && index >= 0 && index < static_cast<int64_t>(map.size[i]);
      from += index * static_cast<int64_t>(map.stride_bytes[i]);
      rest /= count;
    }
    f(row * row_bytes, inside ? from : nullptr, static_cast<uint32_t>(begin),
      static_cast<uint32_t>(end));
  }
}

void copy_box(const BulkQueue::Load& load) {
  const TensorMap& map = load.map;
  const uint32_t base = shared_address(load.shared), element = map.element_bytes();
  for_each_row(
      map, load.at, [&](uint32_t offset, const unsigned char* from, uint32_t begin, uint32_t end) {
        for (uint32_t i = 0; i < map.box[0]; ++i) {
          unsigned char* to =
              multiprocessor->shared.at(swizzled(base + offset + i * element, map.swizzle_bytes));
          uint32_t bits = 0;
          if (from != nullptr && i >= begin && i < end)
            std::memcpy(&bits, from + i * element, element);
          if (map.element == TensorElement::tfloat32) bits = round_to_tf32(bits);
          std::memcpy(to, &bits, element);
        }
      });
}

void finish(const BulkQueue::Load& load) {
  Multiprocessor& mp = *multiprocessor;
  copy_box(load);
  const uint32_t bytes = load.map.box_bytes();
  if (mp.checking())
    mp.checker->bulk_write_ends(load.shared, bytes, load.thread,
                                mp.memory_barriers.side(load.barrier).arriving);
  mp.memory_barriers.complete_bytes(load.barrier, bytes);
}

}  // namespace

void BulkQueue::issue(const Load& load) {
  if (!multiprocessor->happens_late()) return finish(load);
  std::memset(load.shared, 0xFF, load.map.box_bytes());
  loads_.push_back(load);
}

void BulkQueue::complete_one() {
  const size_t i =
      config().async == Async::random ? multiprocessor->random() % loads_.size() : size_t{0};
  const Load load = loads_[i];
  loads_.erase(loads_.begin() + static_cast<ptrdiff_t>(i));
  finish(load);
}

void tma_load(void* shared, const TensorMap& map, uint64_t* barrier, const int* at, int rank,
              Site site) {
  const uint32_t bytes = map.box_bytes(), address = shared_address(shared);
  if (rank != map.rank)
    fail(fmt::format("TMA at {}: {} indices for a tensor map of {} dimensions", text(site), rank,
                     map.rank));
  if (address % 128 != 0)
    fail(fmt::format("TMA at {}: the destination must be a multiple of 128 bytes", text(site)));
  // Swizzled addresses count from address 0, so a box begins where the pattern does.
  if (address % (8 * map.swizzle_bytes + (map.swizzle_bytes == 0 ? 1 : 0)) != 0)
    fail(fmt::format("TMA at {}: a {}-byte swizzle needs a destination aligned to {}", text(site),
                     map.swizzle_bytes, 8 * map.swizzle_bytes));
  shared_pointer(address, bytes);
  memory_barrier_check(barrier, site);
  Multiprocessor& mp = *multiprocessor;
  BulkQueue::Load load{shared, map, barrier, {}, mp.running().index, site};
  std::copy_n(at, rank, load.at);
  if (mp.checking()) {
    mp.checker->async_write_begins(shared, bytes, nullptr, site);
    for_each_row(map, load.at,
                 [&](uint32_t, const unsigned char* from, uint32_t begin, uint32_t end) {
                   const uint32_t element = map.element_bytes();
                   if (from != nullptr)
                     mp.checker->bulk_read(from + begin * element, (end - begin) * element, site);
                 });
  }
  mp.bulk_copies.issue(load);
}

}  // namespace assay::emulator
