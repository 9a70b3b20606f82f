// Work on a stream, recorded once as a CUDA graph.
#pragma once

#include <functional>

#include "kernels/runtime/cuda/kernel.h"

namespace assay::cuda {

/// A graph of the work that `work` queues on `stream`, ready to be launched; the caller destroys
/// it. `nodes`, unless null, gets their number. If `work` throws, the recording is ended first, so
/// that the stream can be used again. Throws DeviceError if something cannot be recorded.
inline cudaGraphExec_t record_graph(cudaStream_t stream, cudaStreamCaptureMode mode,
                                    const std::function<void()>& work, size_t* nodes = nullptr) {
  cudaGraph_t graph = nullptr;
  ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, mode));
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  ASSAY_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t exec = nullptr;
  if (nodes != nullptr) ASSAY_CUDA_CHECK(cudaGraphGetNodes(graph, nullptr, nodes));
  const cudaError_t error = cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  ASSAY_CUDA_CHECK(error);
  return exec;
}

}  // namespace assay::cuda
