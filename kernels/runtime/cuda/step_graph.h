// A training step as one CUDA graph.
//
// A step of a small network is hundreds of short kernels, and launching them one by one the host is
// the bottleneck. StepGraph runs the step a few times as it is (so that every buffer exists),
// records it once, and from then on replays the record with a single call.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/runtime/cuda/cuda_context.h"
#include "kernels/runtime/cuda/launch_log.h"
#include "kernels/runtime/cuda/step_packs.h"

namespace assay {

/// A step must launch the same kernels on the same addresses every time. Whatever changes between
/// steps (the batch, the learning rate, a GAN's latents) must lie in device memory that exists
/// before the first run() and is filled before each. Random numbers too: seed and stream are
/// arguments of the launch that draws them, so a recorded draw would repeat itself. The step must
/// not wait for the device, read results back or allocate outside of the context's memory.
class StepGraph final : public StepRecorder {
 public:
  /// The step's allocations come from a separate pool, because a replay writes to the addresses of
  /// the recorded step. Tensors that outlive a step (gradients, optimizer state made in the first
  /// step) live as long as `context`.
  explicit StepGraph(CudaContext& context, int warm_up = 2);
  ~StepGraph() override;
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  /// Runs the step on the context's stream, asynchronously. The first `warm_up` calls run it
  /// eagerly, the next one records it, and that one and all later ones replay the record. Returns
  /// false if the step was replayed without calling `step`.
  bool run(const std::function<void()>& step) override;
  bool recorded() const { return exec_ != nullptr; }
  /// Forgets the record, as a batch of another size requires.
  void reset();

 private:
  void record(const std::function<void()>& step);

  CudaContext& context_;
  Allocator& pool_;
  WeightCache weights_;  // of the recorded step, whose packed weights must keep their addresses
  std::unique_ptr<StepPacks> packs_;
  int warm_up_, runs_ = 0;
  void* exec_ = nullptr;  // a cudaGraphExec_t
};

/// What a graph of some work would run.
struct RecordedWork {
  size_t nodes = 0;                         ///< kernels, copies and fills
  std::vector<cuda::KernelLaunch> kernels;  ///< in order
};

/// Records `work`, which is as StepGraph wants it, and runs nothing of it. Calls it twice, so that
/// the record has what a warmed-up step launches. What the work allocates
/// stays allocated until `context` is destroyed.
RecordedWork record_work(CudaContext& context, const std::function<void()>& work);

}  // namespace assay
