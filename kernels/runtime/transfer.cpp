#include "kernels/runtime/transfer.h"

#include <cstring>

#include "kernels/runtime/error.h"
#if ASSAY_HAVE_CUDA
#include "kernels/runtime/cuda/cuda_context.h"
#endif

namespace assay {
namespace {

struct OwnedCpuContext final : OwnedContext {
  explicit OwnedCpuContext(int threads) : cpu(threads) {
    context_ = cpu.get();
    context_.owner = this;
  }
  CpuContext cpu;
};

struct PinnedMemory final : MemorySource {
  void* take(size_t bytes) override {
#if ASSAY_HAVE_CUDA
    if (cuda_available()) return cuda::allocate_pinned(bytes);
#endif
    return cpu_allocator().source().take(bytes);
  }
  void give(void* block, size_t bytes) noexcept override {
#if ASSAY_HAVE_CUDA
    if (cuda_available()) return cuda::free_pinned(block);
#endif
    cpu_allocator().source().give(block, bytes);
  }
  const char* name() const override {
    return "pinned";
  }
};

}  // namespace

void copy_bytes(Context& ctx, void* to, Device to_device, const void* from, Device from_device,
                size_t bytes) {
  if (bytes == 0) return;
#if ASSAY_HAVE_CUDA
  if (to_device.is_cuda() || from_device.is_cuda())
    return cuda::copy_bytes(ctx, to, to_device, from, from_device, bytes);
#else
  static_cast<void>(ctx), static_cast<void>(to_device), static_cast<void>(from_device);
#endif
  std::memcpy(to, from, bytes);
}

void zero_bytes(Context& ctx, void* p, size_t bytes) {
  if (bytes == 0) return;
#if ASSAY_HAVE_CUDA
  if (ctx.device.is_cuda()) return cuda::zero_bytes(ctx, p, bytes);
#else
  static_cast<void>(ctx);
#endif
  std::memset(p, 0, bytes);
}

void synchronize(Context& ctx) {
#if ASSAY_HAVE_CUDA
  if (ctx.device.is_cuda()) cuda::synchronize(ctx);
#else
  static_cast<void>(ctx);
#endif
}

PinnedBuffer::PinnedBuffer(size_t bytes) : memory_(nullptr), bytes_(bytes), pinned_(false) {
#if ASSAY_HAVE_CUDA
  if (cuda_available()) {
    memory_ = cuda::allocate_pinned(bytes);
    pinned_ = true;
    return;
  }
#endif
  memory_ = cpu_allocator().allocate(bytes);
}

PinnedBuffer::~PinnedBuffer() {
#if ASSAY_HAVE_CUDA
  if (pinned_) {
    cuda::free_pinned(memory_);
    return;
  }
#endif
  cpu_allocator().deallocate(memory_, bytes_);
}

MemorySource& pinned_memory() {
  static auto* source = new PinnedMemory;  // leaked on purpose: tensors may outlive main()
  return *source;
}

AsyncCopy::AsyncCopy(Context& ctx, void* to, const void* from_pinned, size_t bytes) : ctx_(ctx) {
#if ASSAY_HAVE_CUDA
  if (ctx.device.is_cuda()) {
    event_ = cuda::start_copy(ctx, to, from_pinned, bytes);
    return;
  }
#endif
  std::memcpy(to, from_pinned, bytes);
}

AsyncCopy::~AsyncCopy() {
#if ASSAY_HAVE_CUDA
  if (event_ != nullptr) cuda::finish_copy(event_);
#endif
}

void AsyncCopy::before_kernels() {
#if ASSAY_HAVE_CUDA
  if (event_ != nullptr) cuda::compute_waits_for(ctx_, event_);
#endif
}

AsyncRead::AsyncRead(Context& ctx, void* to_pinned, const void* from, size_t bytes) {
#if ASSAY_HAVE_CUDA
  if (ctx.device.is_cuda()) {
    event_ = cuda::start_read(ctx, to_pinned, from, bytes);
    return;
  }
#else
  static_cast<void>(ctx);
#endif
  std::memcpy(to_pinned, from, bytes);
}

AsyncRead::~AsyncRead() {
#if ASSAY_HAVE_CUDA
  if (event_ != nullptr) cuda::finish_copy(event_);
#endif
}

void AsyncRead::wait() {
#if ASSAY_HAVE_CUDA
  if (event_ != nullptr) cuda::wait_for(event_);
#endif
}

std::unique_ptr<StepRecorder> new_step_recorder(Context& ctx) {
  return ctx.owner != nullptr ? ctx.owner->new_step_recorder() : nullptr;
}

std::unique_ptr<OwnedContext> make_context(Device device, int threads) {
#if ASSAY_HAVE_CUDA
  if (device.is_cuda()) return std::make_unique<CudaContext>(threads);
#else
  ASSAY_CHECK_AS(DeviceError, !device.is_cuda(), "this build has no CUDA; use --device cpu");
#endif
  return std::make_unique<OwnedCpuContext>(threads);
}

std::string device_name(Device device) {
#if ASSAY_HAVE_CUDA
  if (device.is_cuda()) return cuda::device_name();
#endif
  return device.name();
}

}  // namespace assay
