#include "bench/gpu/launches.h"

#include <algorithm>
#include <map>

#include "bench/training_step.h"
#include "kernels/runtime/cuda/launch_log.h"
#include "kernels/runtime/cuda/step_graph.h"

namespace assay::bench {

StepLaunches count_step_launches(CudaContext& context, const std::string& preset, int batch) {
  const ContextScope scope(context.get());
  BenchStep bench(preset, batch);
  TrainingStep& step = bench.step();
  constexpr int kRuns = 2;  // of record_work()
  for (const StepOptimizer& use : step.optimizers()) use.optimizer->advance(kRuns * use.updates);
  const RecordedWork work = record_work(context, [&] {
    step.run(bench.inputs(), {.update = [](Optimizer& optimizer) { optimizer.apply(); }});
  });
  std::map<const void*, int> by_kernel;
  std::map<const void*, std::string> names;
  for (const cuda::KernelLaunch& launch : work.kernels)
    if (++by_kernel[launch.kernel] == 1) names[launch.kernel] = cuda::kernel_name(launch.kernel);
  StepLaunches found{work.nodes, {}, {}};
  for (const auto& [kernel, count] : by_kernel) found.kernels.emplace_back(names[kernel], count);
  for (const cuda::KernelLaunch& launch : work.kernels)
    found.grids.emplace_back(names[launch.kernel], launch.blocks);
  std::ranges::sort(found.kernels, [](const auto& a, const auto& b) {
    return std::pair(-a.second, a.first) < std::pair(-b.second, b.first);
  });
  return found;
}

}  // namespace assay::bench
