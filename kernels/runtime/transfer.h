// Bytes between devices, in every build. tensor/ and data/ use these functions and so depend on no
// CUDA header.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "kernels/runtime/context.h"

namespace assay {

/// Copies `bytes` from `from` (on from_device) to `to` (on to_device). Between CUDA memory it
/// queues the copy on ctx.stream and returns; from or to the host it returns after the copy. If
/// `ctx` is a context of the CPU, it first waits for all work of the CUDA device.
void copy_bytes(Context& ctx, void* to, Device to_device, const void* from, Device from_device,
                size_t bytes);

/// Sets `bytes` of ctx.device's memory to 0, in stream order.
void zero_bytes(Context& ctx, void* p, size_t bytes);

/// Waits for all work queued on ctx.stream; throws DeviceError if any of it failed. Returns at once
/// on the CPU.
void synchronize(Context& ctx);

/// Host memory from which a CUDA device can copy while it computes; ordinary memory without CUDA.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }
  size_t bytes() const { return bytes_; }

 private:
  void* memory_;
  size_t bytes_;
  [[maybe_unused]] bool pinned_;  // used in CUDA builds
};

/// Pinned host memory, from which a CUDA device can copy while it computes; the system's memory
/// without CUDA. Lives as long as the process.
MemorySource& pinned_memory();

/// A copy from pinned memory to the device of a context, concurrent with its kernels. On the CPU it
/// is done at once.
class AsyncCopy {
 public:
  /// Queues the copy on the copy stream, behind all kernels queued so far, which may still read
  /// `to`.
  AsyncCopy(Context& ctx, void* to, const void* from_pinned, size_t bytes);
  /// Waits until `from_pinned` may be written again.
  ~AsyncCopy();
  AsyncCopy(const AsyncCopy&) = delete;
  AsyncCopy& operator=(const AsyncCopy&) = delete;
  /// Makes kernels queued from now on wait for the copy.
  void before_kernels();

 private:
  [[maybe_unused]] Context& ctx_;           // used in CUDA builds
  [[maybe_unused]] void* event_ = nullptr;  // a cudaEvent_t in CUDA builds
};

/// A copy from the device of a context to pinned memory, concurrent with the host. On the CPU it is
/// done at once.
class AsyncRead {
 public:
  /// Queues the copy behind the kernels queued so far; kernels queued later may change `from`.
  AsyncRead(Context& ctx, void* to_pinned, const void* from, size_t bytes);
  /// Waits for the copy, without reporting an error.
  ~AsyncRead();
  AsyncRead(const AsyncRead&) = delete;
  AsyncRead& operator=(const AsyncRead&) = delete;
  /// Waits for the copy; throws DeviceError if it or work before it failed.
  void wait();

 private:
  [[maybe_unused]] void* event_ = nullptr;  // a cudaEvent_t of CUDA builds
};

/// Records a step on a CUDA device once and replays it from then on. The step must do the same work
/// on the same memory every time; StepGraph (kernels/runtime/cuda/step_graph.h) has the conditions.
class StepRecorder {
 public:
  virtual ~StepRecorder() = default;
  /// Runs, records or replays the step. Returns false if `step` itself was not called.
  virtual bool run(const std::function<void()>& step) = 0;
};

/// A Context that owns what it points to; see make_context().
class OwnedContext {
 public:
  virtual ~OwnedContext() = default;
  Context& get() { return context_; }
  operator Context&() { return context_; }
  /// Null if the context does not support CUDA graphs.
  virtual std::unique_ptr<StepRecorder> new_step_recorder() { return nullptr; }

 protected:
  Context context_;
};

/// Step recorder of ctx.owner; null if the context does not support CUDA graphs.
std::unique_ptr<StepRecorder> new_step_recorder(Context& ctx);

/// A context of `device` with its own threads, allocator, caches and (CUDA) streams. Throws
/// DeviceError if the device cannot be used.
std::unique_ptr<OwnedContext> make_context(Device device, int threads = available_threads());

/// The device's name in reports: "cpu", "NVIDIA H200", "emulated CUDA".
std::string device_name(Device device);

}  // namespace assay
