// Launches of kernels: all of Assay's go through launch().
#pragma once

#include <cstdlib>
#include <tuple>

#include "kernels/runtime/context.h"
#include "kernels/runtime/cuda/check.cuh"
#include "kernels/runtime/cuda/launch_log.h"
#if !defined(__CUDACC__)
#include "kernels/emulator/launch.h"
#endif

namespace assay::cuda {

/// The stream of a context on a CUDA device.
inline cudaStream_t stream_of(const Context& ctx) {
  return static_cast<cudaStream_t>(ctx.stream);
}

/// ASSAY_SYNC=1 in the environment: wait after each launch, so that an error inside of a kernel is
/// reported by the launch that made it.
inline bool synchronise_each_launch() {
  static const bool wanted = [] {
    const char* value = std::getenv("ASSAY_SYNC");
    return value != nullptr && value[0] == '1';
  }();
  return wanted;
}

inline void synchronise_unless_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  ASSAY_CUDA_CHECK(cudaStreamIsCapturing(stream, &status));
  if (status == cudaStreamCaptureStatusNone) ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream));
}

/// kernel<<<grid, block, shared_bytes, stream>>>(arguments...). Throws DeviceError if the launch is
/// refused. Sets the attribute that more than 48 KiB of dynamic shared memory need.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            cudaStream_t stream, const Arguments&... arguments) {
  LaunchLog::note({reinterpret_cast<const void*>(kernel), int64_t{grid.x} * grid.y * grid.z,
                   static_cast<int>(block.x * block.y * block.z)});
#if defined(__CUDACC__)
  if (shared_bytes > 48 * 1024)
    ASSAY_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          static_cast<int>(shared_bytes)));
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
  ASSAY_CUDA_CHECK(cudaGetLastError());
#else
  // The arguments are copied now, as a real launch does; the kernel may run much later.
  std::tuple<Parameters...> copies(static_cast<Parameters>(arguments)...);
  const auto call = [kernel, copies] { std::apply(kernel, copies); };
  ASSAY_CUDA_CHECK(emulator::launch_kernel(grid, block, shared_bytes, stream, call));
#endif
  if (synchronise_each_launch()) synchronise_unless_capturing(stream);
}

}  // namespace assay::cuda
