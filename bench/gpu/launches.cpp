#include "bench/gpu/launches.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "bench/training_step.h"
#include "kernels/runtime/cuda/launch_log.h"
#include "kernels/runtime/cuda/step_graph.h"

namespace assay::bench {

int StepLaunches::count() const {
  return std::accumulate(kernels.begin(), kernels.end(), 0,
                         [](int sum, const auto& kernel) { return sum + kernel.second; });
}

StepLaunches count_step_launches(CudaContext& context, const std::string& preset, int batch) {
  const ContextScope scope(context.get());
  BenchStep bench(preset, batch);
  TrainingStep& step = bench.step();
  for (const StepOptimizer& use : step.optimizers()) use.optimizer->advance(use.updates);
  const RecordedWork work = record_work(context, [&] {
    step.run(bench.inputs(), {.update = [](Optimizer& optimizer) { optimizer.apply(); }});
  });
  std::map<const void*, int> by_kernel;
  for (const cuda::KernelLaunch& launch : work.kernels) ++by_kernel[launch.kernel];
  StepLaunches found{work.nodes, {}};
  for (const auto& [kernel, count] : by_kernel)
    found.kernels.emplace_back(cuda::kernel_name(kernel), count);
  std::ranges::sort(found.kernels, [](const auto& a, const auto& b) {
    return std::pair(-a.second, a.first) < std::pair(-b.second, b.first);
  });
  return found;
}

}  // namespace assay::bench
