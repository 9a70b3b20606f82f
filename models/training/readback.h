// What recorded steps leave on the device, on its way to the host: the host queues the next step
// before it looks at the figures of the last, so the device never waits for it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "kernels/runtime/transfer.h"
#include "tensor/tensor.h"

namespace assay {

/// A ring of pinned slots, one for each step whose figures nobody has looked at yet.
class Readback {
 public:
  static constexpr int kAhead = 1;  ///< steps that are queued behind the one that is waited for

  /// `figures` numbers a step.
  explicit Readback(int64_t figures);

  /// Queues a copy of the figures as they are after the work queued so far.
  void push(const Tensor& figures);
  /// Whether pop() has to come before the next push().
  bool full() const { return reads_.size() > kAhead; }
  bool empty() const { return reads_.empty(); }
  /// Waits for the figures of the oldest step.
  std::vector<float> pop();

 private:
  float* slot(int64_t number) const;

  int64_t figures_;
  PinnedBuffer slots_;                            // (kAhead + 1, figures)
  std::deque<std::unique_ptr<AsyncRead>> reads_;  // the oldest first
  int64_t popped_ = 0;
};

}  // namespace assay
