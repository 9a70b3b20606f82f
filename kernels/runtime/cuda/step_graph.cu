#include "kernels/runtime/cuda/step_graph.h"

#include "kernels/runtime/cuda/record_graph.cuh"

namespace assay {
namespace {

/// Makes a context allocate from `pool` and keep packed weights in `weights` and `packs` until the
/// end of a scope.
class UsePool {
 public:
  UsePool(Context& ctx, Allocator& pool, WeightCache& weights, StepPacks& packs)
      : ctx_(ctx),
        memory_before_(ctx.memory),
        weights_before_(ctx.weights),
        packs_before_(ctx.step_packs) {
    ctx.memory = &pool;
    ctx.weights = &weights;
    ctx.step_packs = &packs;
    weights.forget();  // the caller may have changed the weights, and each replay has others
    packs.forget();
  }
  ~UsePool() {
    ctx_.memory = memory_before_;
    ctx_.weights = weights_before_;
    ctx_.step_packs = packs_before_;
  }
  UsePool(const UsePool&) = delete;
  UsePool& operator=(const UsePool&) = delete;

 private:
  Context& ctx_;
  Allocator* memory_before_;
  WeightCache* weights_before_;
  StepPacks* packs_before_;
};

}  // namespace

StepGraph::StepGraph(CudaContext& context, int warm_up)
    : context_(context),
      pool_(context.new_pool()),
      weights_(pool_),
      packs_(cuda::new_step_packs()),
      warm_up_(warm_up) {
  if (warm_up < 1) throw Error("step graph: at least one step must run before it is recorded");
}

StepGraph::~StepGraph() {
  if (exec_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(exec_));
}

void StepGraph::reset() {
  if (exec_ != nullptr) ASSAY_CUDA_CHECK(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(exec_)));
  exec_ = nullptr;
  runs_ = 0;
}

bool StepGraph::run(const std::function<void()>& step) {
  const bool replay = exec_ != nullptr;
  if (!replay) {
    const UsePool use(context_.get(), pool_, weights_, *packs_);
    if (runs_ < warm_up_) {
      ++runs_;
      step();
      return true;
    }
    record(step);
  }
  ASSAY_CUDA_CHECK(
      cudaGraphLaunch(static_cast<cudaGraphExec_t>(exec_), cuda::stream_of(context_.get())));
  return !replay;
}

void StepGraph::record(const std::function<void()>& step) {
  exec_ =
      cuda::record_graph(cuda::stream_of(context_.get()), cudaStreamCaptureModeThreadLocal, step);
}

RecordedWork record_work(CudaContext& context, const std::function<void()>& work) {
  RecordedWork recorded;
  Allocator& pool = context.new_pool();
  WeightCache weights(pool);
  const std::unique_ptr<StepPacks> packs = cuda::new_step_packs();
  for (int run = 0; run < 2; ++run) {
    const UsePool use(context.get(), pool, weights, *packs);
    const cuda::LaunchLog log;
    // Relaxed, because the first run of the work allocates.
    const cudaGraphExec_t exec = cuda::record_graph(
        cuda::stream_of(context.get()), cudaStreamCaptureModeRelaxed, work, &recorded.nodes);
    ASSAY_CUDA_CHECK(cudaGraphExecDestroy(exec));
    recorded.kernels = log.launches();
  }
  return recorded;
}

}  // namespace assay
