// Bytes between devices, in every build. tensor/ and data/ move memory with these and so need to
// know nothing about CUDA.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "kernels/runtime/context.h"

namespace assay {

/// Copies `bytes` from `from` (on from_device) to `to` (on to_device). Between CUDA memory it only
/// queues the copy on ctx.stream; where the host is involved it returns when the bytes are there.
/// If `ctx` is a context of the CPU, all work of the CUDA device is waited for first.
void copy_bytes(Context& ctx, void* to, Device to_device, const void* from, Device from_device,
                size_t bytes);

/// Sets `bytes` of ctx.device's memory to 0, in the order of ctx.stream.
void zero_bytes(Context& ctx, void* p, size_t bytes);

/// Waits for all that was queued on ctx.stream; throws DeviceError if any of it failed. On the CPU
/// there is nothing to wait for.
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
  [[maybe_unused]] bool pinned_;  // of CUDA builds
};

/// Ordinary memory that a CUDA device can copy from while it computes (pinned); without CUDA, the
/// system's. Lives as long as the process.
MemorySource& pinned_memory();

/// A copy from pinned memory to the device of a context that runs beside its kernels. On the CPU it
/// is done at once.
class AsyncCopy {
 public:
  /// Queues the copy on a stream of its own, behind all kernels queued so far: they may still read
  /// what is in `to`.
  AsyncCopy(Context& ctx, void* to, const void* from_pinned, size_t bytes);
  /// Waits until `from_pinned` may be written again.
  ~AsyncCopy();
  AsyncCopy(const AsyncCopy&) = delete;
  AsyncCopy& operator=(const AsyncCopy&) = delete;
  /// Kernels queued from now on find the bytes in place.
  void before_kernels();

 private:
  [[maybe_unused]] Context& ctx_;           // of CUDA builds
  [[maybe_unused]] void* event_ = nullptr;  // a cudaEvent_t of CUDA builds
};

/// A copy from the device of a context to pinned memory that the host does not wait for. On the CPU
/// it is done at once.
class AsyncRead {
 public:
  /// Queues the copy between the kernels queued so far and those to come, which may change `from`.
  AsyncRead(Context& ctx, void* to_pinned, const void* from, size_t bytes);
  /// Waits too.
  ~AsyncRead();
  AsyncRead(const AsyncRead&) = delete;
  AsyncRead& operator=(const AsyncRead&) = delete;
  /// Returns when the bytes are there; throws DeviceError if work before them failed.
  void wait();

 private:
  [[maybe_unused]] void* event_ = nullptr;  // a cudaEvent_t of CUDA builds
};

/// Runs a step that is the same work on the same memory every time; on a CUDA device it is recorded
/// once and replayed from then on. StepGraph (kernels/runtime/cuda/step_graph.h) says what a step
/// must promise.
class StepRecorder {
 public:
  virtual ~StepRecorder() = default;
  /// False: the step was replayed, and `step` itself was not called.
  virtual bool run(const std::function<void()>& step) = 0;
};

/// A Context that owns what it points to; see make_context().
class OwnedContext {
 public:
  virtual ~OwnedContext() = default;
  Context& get() { return context_; }
  operator Context&() { return context_; }
  /// Null where steps are not recorded.
  virtual std::unique_ptr<StepRecorder> new_step_recorder() { return nullptr; }

 protected:
  Context context_;
};

/// Of the context's owner; null where steps are not recorded.
std::unique_ptr<StepRecorder> new_step_recorder(Context& ctx);

/// A context of `device` with its own threads, allocator, caches and (CUDA) streams. Throws
/// DeviceError where the device cannot be used.
std::unique_ptr<OwnedContext> make_context(Device device, int threads = available_threads());

/// What to call the device in reports: "cpu", "NVIDIA H200", "emulated CUDA".
std::string device_name(Device device);

}  // namespace assay
