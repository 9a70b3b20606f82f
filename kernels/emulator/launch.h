// Queues a kernel on a stream of the emulated device: what <<<grid, block, shared, stream>>> does.
#pragma once

#include <functional>

#include "kernels/emulator/api.h"

namespace assay::emulator {

/// `body` calls the kernel with its arguments; it runs once per CUDA thread.
cudaError_t launch_kernel(dim3 grid, dim3 block, size_t dynamic_shared, cudaStream_t stream,
                          std::function<void()> body);

}  // namespace assay::emulator
