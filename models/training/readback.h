// Copies numbers of recorded steps from the device to the host. The host queues the next step
// before it reads the numbers of the last one, so that the device never waits for the host.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "kernels/runtime/transfer.h"
#include "tensor/tensor.h"

namespace assay {

/// A ring of pinned slots, one per step whose numbers the host has not read.
class Readback {
 public:
  static constexpr int kAhead = 1;  ///< steps that may be queued before the oldest is read

  /// `size`: floats per step.
  explicit Readback(int64_t size);

  /// Queues a copy of `values` after the work that is queued already.
  void push(const Tensor& values);
  /// Whether pop() must be called before the next push().
  bool full() const { return reads_.size() > kAhead; }
  bool empty() const { return reads_.empty(); }
  /// Waits for the values of the oldest step.
  std::vector<float> pop();

 private:
  float* slot(int64_t number) const;

  int64_t size_;
  PinnedBuffer slots_;                            // (kAhead + 1, size)
  std::deque<std::unique_ptr<AsyncRead>> reads_;  // the oldest first
  int64_t popped_ = 0;
};

}  // namespace assay
