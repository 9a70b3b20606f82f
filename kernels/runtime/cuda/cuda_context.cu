#include "kernels/runtime/cuda/cuda_context.h"

#include "kernels/runtime/cuda/check.cuh"
#include "kernels/runtime/cuda/grid.cuh"
#include "kernels/runtime/cuda/launch.cuh"
#include "kernels/runtime/cuda/step_graph.h"
#if defined(__CUDACC__)
#include <nvtx3/nvToolsExt.h>  // headers alone; a profiler brings the rest
#endif

namespace assay {
namespace {

struct DeviceMemory final : MemorySource {
  void* take(size_t bytes) override {
    void* block = nullptr;
    const cudaError_t error = cudaMalloc(&block, bytes);
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;  // the allocator frees its cache and tries again before it throws
    }
    ASSAY_CUDA_CHECK(error);
    return block;
  }
  void give(void* block, size_t) noexcept override { cudaFree(block); }
  int64_t free_bytes() const override {
    size_t free = 0, total = 0;
    return cudaMemGetInfo(&free, &total) == cudaSuccess ? static_cast<int64_t>(free) : -1;
  }
  const char* name() const override { return "cuda"; }
};

cudaStream_t new_stream() {
  cudaStream_t stream = nullptr;
  ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

cudaStream_t as_stream(void* stream) {
  return static_cast<cudaStream_t>(stream);
}
cudaEvent_t as_event(void* event) {
  return static_cast<cudaEvent_t>(event);
}
/// A new event behind the work queued on the stream so far.
cudaEvent_t record_event(cudaStream_t stream) {
  cudaEvent_t event = nullptr;
  ASSAY_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  ASSAY_CUDA_CHECK(cudaEventRecord(event, stream));
  return event;
}

}  // namespace

bool cuda_available() {
  static const bool available = [] {
    int devices = 0;
    const bool found = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
    cudaGetLastError();
    return found;
  }();
  return available;
}

CudaContext::CudaContext(int host_threads) : pool_(host_threads) {
  context_.device = Device::cuda();
  source_ = std::make_unique<DeviceMemory>();
  compute_stream_ = new_stream();
  copy_stream_ = new_stream();
  cudaEvent_t event = nullptr;
  ASSAY_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  event_ = event;
  context_.memory = &new_pool();
  weights_ = std::make_unique<WeightCache>(*context_.memory);
  context_.threads = &pool_;
  context_.weights = weights_.get();
  context_.stream = compute_stream_;
  context_.owner = this;
  counters_ = Scratch(context_, cuda::kCounters * sizeof(unsigned));
  cuda::zero_bytes(context_, counters_.as<void>(), counters_.bytes());
}

CudaContext::~CudaContext() {
  cudaDeviceSynchronize();
  cudaEventDestroy(as_event(event_));
  cudaStreamDestroy(as_stream(copy_stream_));
  cudaStreamDestroy(as_stream(compute_stream_));
}

void CudaContext::compute_waits_for_copies() {
  ASSAY_CUDA_CHECK(cudaEventRecord(as_event(event_), as_stream(copy_stream_)));
  ASSAY_CUDA_CHECK(cudaStreamWaitEvent(as_stream(compute_stream_), as_event(event_)));
}

void CudaContext::copies_wait_for_compute() {
  ASSAY_CUDA_CHECK(cudaEventRecord(as_event(event_), as_stream(compute_stream_)));
  ASSAY_CUDA_CHECK(cudaStreamWaitEvent(as_stream(copy_stream_), as_event(event_)));
}

Allocator& CudaContext::new_pool() {
  pools_.push_back(std::make_unique<Allocator>(*source_));
  return *pools_.back();
}

std::unique_ptr<StepRecorder> CudaContext::new_step_recorder() {
  return std::make_unique<StepGraph>(*this);
}

namespace cuda {

unsigned* counters_of(const Context& ctx) {
  return static_cast<const CudaContext*>(ctx.owner)->counters();
}

void copy_bytes(Context& ctx, void* to, Device to_device, const void* from, Device from_device,
                size_t bytes) {
  // A context of the CPU has no stream on which to order the copy.
  if (!ctx.device.is_cuda()) ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  const cudaStream_t stream = stream_of(ctx);
  const cudaMemcpyKind kind = !from_device.is_cuda() ? cudaMemcpyHostToDevice
                              : to_device.is_cuda()  ? cudaMemcpyDeviceToDevice
                                                     : cudaMemcpyDeviceToHost;
  ASSAY_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, kind, stream));
  if (kind != cudaMemcpyDeviceToDevice || !ctx.device.is_cuda())
    ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream));
}

void zero_bytes(Context& ctx, void* p, size_t bytes) {
  ASSAY_CUDA_CHECK(cudaMemsetAsync(p, 0, bytes, stream_of(ctx)));
}

void synchronize(Context& ctx) {
  ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream_of(ctx)));
}

void* start_copy(Context& ctx, void* to, const void* from_pinned, size_t bytes) {
  auto& owner = static_cast<CudaContext&>(*ctx.owner);
  const cudaStream_t copies = as_stream(owner.copy_stream());
  owner.copies_wait_for_compute();
  ASSAY_CUDA_CHECK(cudaMemcpyAsync(to, from_pinned, bytes, cudaMemcpyHostToDevice, copies));
  return record_event(copies);
}

void compute_waits_for(Context& ctx, void* event) {
  ASSAY_CUDA_CHECK(cudaStreamWaitEvent(stream_of(ctx), as_event(event)));
}

void* start_read(Context& ctx, void* to_pinned, const void* from, size_t bytes) {
  const cudaStream_t stream = stream_of(ctx);
  ASSAY_CUDA_CHECK(cudaMemcpyAsync(to_pinned, from, bytes, cudaMemcpyDeviceToHost, stream));
  return record_event(stream);
}

void wait_for(void* event) {
  ASSAY_CUDA_CHECK(cudaEventSynchronize(as_event(event)));
}

void finish_copy(void* event) noexcept {
  cudaEventSynchronize(as_event(event));
  cudaEventDestroy(as_event(event));
}

void* allocate_pinned(size_t bytes) {
  void* p = nullptr;
  ASSAY_CUDA_CHECK(cudaMallocHost(&p, bytes));
  return p;
}
void free_pinned(void* p) noexcept {
  cudaFreeHost(p);
}

void begin_range([[maybe_unused]] std::string_view name) {
#if defined(__CUDACC__)
  nvtxRangePushA(std::string(name).c_str());
#endif
}
void end_range() {
#if defined(__CUDACC__)
  nvtxRangePop();
#endif
}

std::string device_name() {
#if defined(__CUDACC__)
  cudaDeviceProp properties;
  ASSAY_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  return properties.name;
#else
  return "emulated CUDA";
#endif
}

int compute_capability() {
  cudaDeviceProp properties;
  ASSAY_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  return 10 * properties.major + properties.minor;
}
bool runs_sm90a() {
  static const bool runs = cuda_available() && compute_capability() == 90;
  return runs;
}

}  // namespace cuda
}  // namespace assay
