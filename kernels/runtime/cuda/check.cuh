// The check around every call of the CUDA API.
#pragma once

#include "kernels/runtime/cuda/api.cuh"
#include "kernels/runtime/error.h"

namespace assay::cuda {

inline void check(cudaError_t error, const char* call, const char* file, int line) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an error that does not stick must not be reported a second time
  throw DeviceError(std::string("CUDA: ") + cudaGetErrorName(error) + ": " +
                    cudaGetErrorString(error) + "; from " + call + " at " + file + ":" +
                    std::to_string(line));
}

}  // namespace assay::cuda

/// Throws DeviceError with the call and the runtime's message unless `call` gives cudaSuccess.
#define ASSAY_CUDA_CHECK(call) ::assay::cuda::check((call), #call, __FILE__, __LINE__)
