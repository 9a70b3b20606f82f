// cp.async: copies of 4, 8 or 16 bytes from global to shared memory (PTX ISA, "Data Movement and
// Conversion Instructions: Non-bulk copy").
#include <fmt/core.h>

#include <cstring>

#include "kernels/emulator/async.h"
#include "kernels/emulator/check.h"
#include "kernels/emulator/multiprocessor.h"

namespace assay::emulator {

void CopyQueue::Copy::run() const {
  if (valid)
    std::memcpy(shared, global, static_cast<size_t>(bytes));
  else
    std::memset(shared, 0, static_cast<size_t>(bytes));
}

void CopyQueue::issue(void* shared, const void* global, int bytes, bool valid, Site site) {
  Multiprocessor& mp = *multiprocessor;
  const auto n = static_cast<size_t>(bytes);
  shared_pointer(shared_address(shared), n);
  if (reinterpret_cast<uintptr_t>(shared) % n != 0 ||
      (valid && reinterpret_cast<uintptr_t>(global) % n != 0))
    fail(fmt::format("cp.async of {} bytes at {}: misaligned address", bytes, text(site)));
  if (mp.checking()) mp.checker->async_write_begins(shared, n, valid ? global : nullptr, site);
  Copy copy{shared, global, bytes, valid, mp.happens_late(), site};
  if (copy.late)
    std::memset(shared, 0xFF, n);
  else
    copy.run();
  copies_.push_back(copy);
}

void CopyQueue::wait(size_t pending) {
  if (groups_.size() <= pending) return;
  const size_t complete_groups = groups_.size() - pending;
  const size_t end = groups_[complete_groups - 1];
  for (size_t i = 0; i < end; ++i) {
    const Copy& copy = copies_[i];
    if (copy.late) copy.run();
    if (multiprocessor->checking())
      multiprocessor->checker->async_write_ends(copy.shared, static_cast<size_t>(copy.bytes),
                                                multiprocessor->running().index);
  }
  copies_.erase(copies_.begin(), copies_.begin() + static_cast<ptrdiff_t>(end));
  groups_.erase(groups_.begin(), groups_.begin() + static_cast<ptrdiff_t>(complete_groups));
  for (size_t& group_end : groups_) group_end -= end;
}

void cp_async(void* shared, const void* global, int bytes, bool valid, Site site) {
  multiprocessor->running().copies.issue(shared, global, bytes, valid, site);
}
void cp_async_commit() {
  multiprocessor->running().copies.commit();
}
void cp_async_wait(int pending_groups) {
  multiprocessor->running().copies.wait(static_cast<size_t>(pending_groups));
}

}  // namespace assay::emulator
