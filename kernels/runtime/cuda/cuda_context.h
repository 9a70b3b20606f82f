// The CUDA device as the rest of the runtime sees it: plain C++, no CUDA header. Only builds with
// CUDA (or the emulator) have it; kernels/runtime/transfer.h works in all builds.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/runtime/context.h"
#include "kernels/runtime/transfer.h"

namespace assay {

/// A Context of the CUDA device. It owns two streams, the caching allocator of device memory and
/// the weight cache. Kernels run on the compute stream (Context::stream); the copy stream copies
/// the next batch meanwhile. Neither stream waits for the default stream.
class CudaContext final : public OwnedContext {
 public:
  /// Throws DeviceError if there is no usable device.
  explicit CudaContext(int host_threads = available_threads());
  /// Waits for all work. Tensors of this context must be gone by then.
  ~CudaContext() override;

  void* copy_stream() const { return copy_stream_; }
  /// Work queued on the compute stream from now on waits for the copies queued so far.
  void compute_waits_for_copies();
  /// Copies queued from now on wait for the kernels queued so far, which may read their target.
  void copies_wait_for_compute();

  /// A new allocator over the same device memory, owned by this context. A captured graph allocates
  /// from one, so that nothing else gets its blocks.
  Allocator& new_pool();
  std::unique_ptr<StepRecorder> new_step_recorder() override;
  /// For cuda::counters_of().
  unsigned* counters() const { return counters_.as<unsigned>(); }

 private:
  ThreadPool pool_;
  std::unique_ptr<MemorySource> source_;
  std::vector<std::unique_ptr<Allocator>> pools_;  // [0] is Context::memory
  std::unique_ptr<WeightCache> weights_;
  Scratch counters_;
  void* compute_stream_ = nullptr;
  void* copy_stream_ = nullptr;
  void* event_ = nullptr;
};

namespace cuda {

void copy_bytes(Context& ctx, void* to, Device to_device, const void* from, Device from_device,
                size_t bytes);
void zero_bytes(Context& ctx, void* p, size_t bytes);
void synchronize(Context& ctx);
/// Queues a copy from pinned memory on the copy stream of ctx.owner, behind the compute stream.
/// Returns the event of its end.
void* start_copy(Context& ctx, void* to, const void* from_pinned, size_t bytes);
void compute_waits_for(Context& ctx, void* event);
/// Queues a copy to pinned memory on ctx.stream. Returns the event of its end.
void* start_read(Context& ctx, void* to_pinned, const void* from, size_t bytes);
/// Blocks the host until the event; throws DeviceError if work before it failed.
void wait_for(void* event);
/// Waits for the event and destroys it.
void finish_copy(void* event) noexcept;
void* allocate_pinned(size_t bytes);
void free_pinned(void* p) noexcept;
/// NVTX ranges of this thread, in builds by nvcc.
void begin_range(std::string_view name);
void end_range();
std::string device_name();
/// 10 * major + minor: 80 for the A100, 90 for the H100 and the emulator.
int compute_capability();
/// Whether there is a device that runs the kernels for sm_90a, which no other architecture runs.
bool runs_sm90a();

}  // namespace cuda
}  // namespace assay
