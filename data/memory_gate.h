// A limit on the memory that several threads hold at once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace assay {

/// Threads that request more memory than is left wait for the others. A request above the limit
/// waits until nothing else is held.
class MemoryGate {
 public:
  explicit MemoryGate(size_t limit) : limit_(limit) {}

  /// Holds `bytes` from construction to destruction.
  class Lease {
   public:
    Lease(MemoryGate& gate, size_t bytes) : gate_(gate), bytes_(bytes) {
      std::unique_lock lock(gate_.mutex_);
      gate_.changed_.wait(lock,
                          [&] { return gate_.used_ == 0 || gate_.used_ + bytes_ <= gate_.limit_; });
      gate_.used_ += bytes_;
    }
    ~Lease() {
      {
        const std::lock_guard lock(gate_.mutex_);
        gate_.used_ -= bytes_;
      }
      gate_.changed_.notify_all();
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

   private:
    MemoryGate& gate_;
    size_t bytes_;
  };

 private:
  const size_t limit_;
  size_t used_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace assay
