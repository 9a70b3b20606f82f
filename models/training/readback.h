// Numbers that recorded steps leave on the device, on their way to the host. The host queues the
// next step before it reads the numbers of the last, so that the device never waits for it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "kernels/runtime/transfer.h"
#include "tensor/tensor.h"

namespace assay {

/// A ring of pinned slots, one for each step whose numbers the host has not read.
class Readback {
 public:
  static constexpr int kAhead = 1;  ///< steps that are queued behind the one that is waited for

  /// `size` floats a step.
  explicit Readback(int64_t size);

  /// Queues a copy of `values` as they are after the work queued so far.
  void push(const Tensor& values);
  /// Whether pop() has to come before the next push().
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
