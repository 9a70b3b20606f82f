#include "kernels/emulator/api.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "kernels/emulator/check.h"
#include "kernels/emulator/config.h"
#include "kernels/emulator/device_memory.h"
#include "kernels/emulator/launch.h"
#include "kernels/emulator/machine.h"
#include "kernels/emulator/shared_memory.h"
#include "kernels/emulator/streams.h"

using assay::emulator::Point;
using assay::emulator::StreamEngine;

namespace {

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

// Runs f(engine) with the engine's mutex held, and stores its error for cudaGetLastError().
template <class F>
cudaError_t with_engine(const F& f) {
  StreamEngine& engine = StreamEngine::instance();
  const std::lock_guard lock(engine.mutex());
  return remember(f(engine));
}
// with_engine() for calls that take a stream: f(engine, stream), or an error if it is not valid.
template <class F>
cudaError_t with_stream(cudaStream_t stream, const F& f) {
  return with_engine([&](StreamEngine& engine) {
    const cudaStream_t s = engine.resolve(stream);
    return s == nullptr ? cudaErrorInvalidResourceHandle : f(engine, s);
  });
}

std::map<const void*, size_t>& pinned_blocks() {
  static auto* blocks = new std::map<const void*, size_t>;
  return *blocks;
}

bool is_pinned(const void* p) {
  auto it = pinned_blocks().upper_bound(p);
  if (it == pinned_blocks().begin()) return false;
  --it;
  return static_cast<const char*>(p) < static_cast<const char*>(it->first) + it->second;
}

uintptr_t address_of(const void* p) {
  return reinterpret_cast<uintptr_t>(p);
}
bool on_device(const void* p) {
  return assay::emulator::is_device_address(address_of(p));
}
bool device_range_is_valid(const void* p, size_t bytes) {
  return bytes == 0 || !on_device(p) || assay::emulator::in_allocation(address_of(p), bytes);
}

void note_copy(const void* p, size_t bytes, assay::emulator::AccessKind kind) {
  if (bytes > 0 && on_device(p) && assay::emulator::instrumented() &&
      assay::emulator::config().check)
    assay::emulator::GlobalShadow::instance().copy_access(address_of(p), bytes, kind);
}

bool kind_fits(const void* to, const void* from, cudaMemcpyKind kind) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !on_device(to) && !on_device(from);
    case cudaMemcpyHostToDevice:
      return on_device(to) && !on_device(from);
    case cudaMemcpyDeviceToHost:
      return !on_device(to) && on_device(from);
    case cudaMemcpyDeviceToDevice:
      return on_device(to) && on_device(from);
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

// Copies from pageable memory read it at once; copies to pageable memory wait for their end.
cudaError_t copy_async(StreamEngine& engine, cudaStream_t s, void* to, const void* from,
                       size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return cudaSuccess;
  if (!kind_fits(to, from, kind) || !device_range_is_valid(to, bytes) ||
      !device_range_is_valid(from, bytes))
    return cudaErrorInvalidValue;
  const bool from_pageable = !on_device(from) && !is_pinned(from);
  const bool to_pageable = !on_device(to) && !is_pinned(to);
  if (from_pageable && !s->capture) {
    const auto* data = static_cast<const unsigned char*>(from);
    return engine.enqueue(s, [to, bytes, staged = std::vector<unsigned char>(data, data + bytes)] {
      note_copy(to, bytes, assay::emulator::kWrite);
      std::memcpy(to, staged.data(), bytes);
    });
  }
  const cudaError_t error = engine.enqueue(s, [to, from, bytes] {
    note_copy(from, bytes, assay::emulator::kRead);
    note_copy(to, bytes, assay::emulator::kWrite);
    std::memmove(to, from, bytes);
  });
  if (error != cudaSuccess || !to_pageable || s->capture) return error;
  return engine.run_until({s->index, s->queued});
}

cudaError_t set_async(StreamEngine& engine, cudaStream_t s, void* p, int value, size_t bytes) {
  if (bytes == 0) return cudaSuccess;
  if (!on_device(p) || !device_range_is_valid(p, bytes)) return cudaErrorInvalidValue;
  return engine.enqueue(s, [p, value, bytes] {
    note_copy(p, bytes, assay::emulator::kWrite);
    std::memset(p, value, bytes);
  });
}

// Waits for a stream. What the host does afterwards is ordered after the stream's operations.
cudaError_t synchronize(StreamEngine& engine, cudaStream_t s) {
  if (s->capture) return engine.refuse_during_capture();
  return engine.wait_for_stream(s);
}

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};
constexpr ErrorText kErrorTexts[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
};

}  // namespace

// ---- errors

const char* cudaGetErrorName(cudaError_t error) {
  for (const ErrorText& e : kErrorTexts)
    if (e.error == error) return e.name;
  return "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
  if (error == cudaErrorLaunchFailure && !StreamEngine::instance().report().empty())
    return StreamEngine::instance().report().c_str();
  for (const ErrorText& e : kErrorTexts)
    if (e.error == error) return e.text;
  return "unrecognized error code";
}
cudaError_t cudaPeekAtLastError() {
  return last_error;
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

// ---- device

// CUDA_VISIBLE_DEVICES lists the devices that a process may see, up to the first unknown one. A
// list that does not begin with 0, the only device here, hides it.
cudaError_t cudaGetDeviceCount(int* count) {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const bool seen =
      visible == nullptr || std::strcmp(visible, "0") == 0 || std::strncmp(visible, "0,", 2) == 0;
  *count = seen ? 1 : 0;
  return remember(seen ? cudaSuccess : cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
  return remember(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (device != 0) return remember(cudaErrorInvalidDevice);
  *p = {};
  std::snprintf(p->name, sizeof p->name, "Assay emulator");
  p->totalGlobalMem = assay::emulator::config().memory_bytes;
  p->sharedMemPerBlock = assay::emulator::SharedMemory::kMaxStaticBytes;
  p->sharedMemPerBlockOptin = assay::emulator::SharedMemory::kMaxBytes;
  p->sharedMemPerMultiprocessor = 228 << 10;
  p->major = 9;
  p->minor = 0;
  p->multiProcessorCount = 4;  // few, so that grids made to fill the device stay small
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsPerMultiProcessor = 2048;
  p->regsPerBlock = 65536;
  p->l2CacheSize = 1 << 20;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return with_engine([](StreamEngine& engine) {
    return engine.capturing() ? engine.refuse_during_capture() : engine.run_all();
  });
}
cudaError_t cudaDeviceReset() {
  last_error = cudaSuccess;
  return with_engine([](StreamEngine& engine) {
    engine.reset();
    return cudaSuccess;
  });
}

// ---- memory

cudaError_t cudaMalloc(void** p, size_t bytes) {
  return with_engine([&](StreamEngine& engine) {
    if (engine.capturing_strictly()) return engine.refuse_during_capture();
    *p = bytes == 0 ? nullptr : assay::emulator::allocate_device_memory(bytes);
    return bytes == 0 || *p != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}

// Waits for all work first, as the real cudaFree does.
cudaError_t cudaFree(void* p) {
  return with_engine([&](StreamEngine& engine) {
    if (p == nullptr) return cudaSuccess;
    if (engine.capturing()) return engine.refuse_during_capture();
    const cudaError_t error = engine.run_all();
    const bool known = assay::emulator::free_device_memory(p);
    return error != cudaSuccess ? error : known ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMallocHost(void** p, size_t bytes) {
  return with_engine([&](StreamEngine&) {
    *p = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (*p == nullptr) return cudaErrorMemoryAllocation;
    std::memset(*p, 0xFF, bytes);
    pinned_blocks()[*p] = bytes;
    return cudaSuccess;
  });
}
cudaError_t cudaFreeHost(void* p) {
  return with_engine([&](StreamEngine& engine) {
    const cudaError_t error = engine.run_all();
    if (pinned_blocks().erase(p) == 0) return p == nullptr ? cudaSuccess : cudaErrorInvalidValue;
    std::free(p);
    return error;
  });
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  *total_bytes = assay::emulator::config().memory_bytes;
  *free_bytes = *total_bytes - assay::emulator::device_memory_in_use();
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    return copy_async(engine, s, to, from, bytes, kind);
  });
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return with_stream(nullptr, [&](StreamEngine& engine, cudaStream_t s) {
    if (engine.capturing()) return engine.refuse_during_capture();
    const cudaError_t error = copy_async(engine, s, to, from, bytes, kind);
    return error != cudaSuccess ? error : synchronize(engine, s);
  });
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    return set_async(engine, s, p, value, bytes);
  });
}
cudaError_t cudaMemset(void* p, int value, size_t bytes) {
  return with_stream(nullptr, [&](StreamEngine& engine, cudaStream_t s) {
    if (engine.capturing()) return engine.refuse_during_capture();
    return set_async(engine, s, p, value, bytes);
  });
}

// ---- launch

namespace assay::emulator {

cudaError_t launch_kernel(dim3 grid, dim3 block, size_t dynamic_shared, cudaStream_t stream,
                          std::function<void()> body) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    return engine.enqueue(s, [=] { run_grid(grid, block, dynamic_shared, body); });
  });
}

}  // namespace assay::emulator

// ---- streams

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return with_engine([&](StreamEngine& engine) {
    *stream = engine.create((flags & cudaStreamNonBlocking) == 0);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return with_stream(stream, [&](StreamEngine&, cudaStream_t s) {
    if (s->index == 0) return cudaErrorInvalidResourceHandle;
    s->destroyed = true;  // queued operations still run
    return cudaSuccess;
  });
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return with_stream(stream, synchronize);
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    return engine.done({s->index, s->queued}) ? cudaSuccess : cudaErrorNotReady;
  });
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    return engine.enqueue(s, [=] { function(data); });
  });
}

// ---- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new AssayEmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    engine.record_event(s, event);
    return cudaSuccess;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return with_engine([&](StreamEngine& engine) { return engine.wait_for_event(event); });
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return with_engine([&](StreamEngine& engine) {
    return engine.done(event->point) ? cudaSuccess : cudaErrorNotReady;
  });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return with_engine([&](StreamEngine& engine) {
    if (!start->time || !end->time) return cudaErrorInvalidResourceHandle;
    if (!engine.done(start->point) || !engine.done(end->point)) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
    return cudaSuccess;
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    engine.wait_event(s, event);
    return cudaSuccess;
  });
}

// ---- graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    return engine.begin_capture(s, mode == cudaStreamCaptureModeRelaxed);
  });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    std::shared_ptr<const assay::emulator::GraphNodes> nodes;
    const cudaError_t error = engine.end_capture(s, nodes);
    *graph = error == cudaSuccess ? new AssayEmulatedGraph{nodes} : nullptr;
    return error;
  });
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return with_stream(stream, [&](StreamEngine&, cudaStream_t s) {
    *status = !s->capture         ? cudaStreamCaptureStatusNone
              : s->capture->valid ? cudaStreamCaptureStatusActive
                                  : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new AssayEmulatedGraphExec{graph->nodes};
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, struct CUgraphNode_st** nodes, size_t* count) {
  if (nodes != nullptr) return remember(cudaErrorInvalidValue);
  *count = graph->nodes->size();
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return with_stream(stream, [&](StreamEngine& engine, cudaStream_t s) {
    return engine.launch_graph(exec->nodes, s);
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
