// Bytes between devices, in every build. tensor/ and data/ move memory with these and so need to
// know nothing about CUDA.
#pragma once

#include <cstddef>
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
  bool pinned_;
};

/// A Context that owns what it points to; see make_context().
class OwnedContext {
 public:
  virtual ~OwnedContext() = default;
  Context& get() { return context_; }
  operator Context&() { return context_; }

 protected:
  Context context_;
};

/// A context of `device` with its own threads, allocator, caches and (CUDA) streams. Throws
/// DeviceError where the device cannot be used.
std::unique_ptr<OwnedContext> make_context(Device device, int threads = available_threads());

/// What to call the device in reports: "cpu", "NVIDIA H200", "emulated CUDA".
std::string device_name(Device device);

}  // namespace assay
