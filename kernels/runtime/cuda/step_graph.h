// A training step as one CUDA graph.
//
// A step of a small network is hundreds of short kernels; launched one by one, the host is the
// bottleneck. StepGraph lets the step run a few times as it is (so that every buffer exists),
// records it once, and from then on replays the record with a single call.
#pragma once

#include <functional>

#include "kernels/runtime/cuda/cuda_context.h"

namespace assay {

/// What a step must promise: the same kernels on the same addresses every time. Whatever changes
/// between steps (the batch, the learning rate, a GAN's latents) lies in device memory that is
/// allocated before and filled before each run(). Random numbers come from there too: seed and
/// stream are arguments of the launch that draws them, so a recorded draw would repeat itself. The
/// step must not wait for the device, read results back or allocate outside of the context's
/// memory.
class StepGraph final : public StepRecorder {
 public:
  /// The step's own allocations come from a pool of their own: a replay writes to the addresses of
  /// the recorded step, so nobody else may hold them. Tensors that a step leaves behind (gradients,
  /// optimizer state made in the first step) live as long as `context`.
  explicit StepGraph(CudaContext& context, int warm_up = 2);
  ~StepGraph() override;
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  /// Runs the step: eagerly for the first `warm_up` calls, recorded in the next one, replayed in
  /// that one and all later ones (`step` is then not called: false). Asynchronous, on context's
  /// stream.
  bool run(const std::function<void()>& step) override;
  bool recorded() const { return exec_ != nullptr; }
  /// Forgets the record: for a batch of another size.
  void reset();

 private:
  void record(const std::function<void()>& step);

  CudaContext& context_;
  Allocator& pool_;
  WeightCache weights_;  // of the recorded step: its packed weights stay where they are
  int warm_up_, runs_ = 0;
  void* exec_ = nullptr;  // a cudaGraphExec_t
};

}  // namespace assay
