// cuDNN's graph API for the few graphs that the benchmarks need.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/baselines/baseline.h"
#include "bench/baselines/cudnn_descriptor.h"

namespace assay::bench {

/// The target of plans: a device behind a handle, or only its description, and then plans can be
/// built but not run.
struct GraphTarget {
  cudnnHandle_t handle = nullptr;
  Descriptor device;  ///< used where there is no handle
};
GraphTarget described_device(const std::string& json);

/// A finalised operation graph. Tensors have unique ids; x 1, w 2, y 3, bias 4 in all graphs here.
enum TensorId : int64_t { kX = 1, kW, kY, kBias, kDy };
struct OperationGraph {
  Descriptor graph;
  std::vector<Descriptor> parts;  // kept alive with it
  std::vector<int64_t> ids;       // of the tensors that a run is given
};

OperationGraph convolution_graph(const GraphTarget& target, const ConvRequest& r, Layout layout);
/// y = f(x + bias); ids x, bias, y.
OperationGraph bias_activation_graph(const GraphTarget& target, Extent e, Element t, Layout l,
                                     Activation a, float slope);
/// dx of y = f(x) by the sign of y, for relu and leaky relu; ids y (as kX), dy, dx (as kY).
OperationGraph relu_backward_graph(const GraphTarget& target, Extent e, Element t, Layout l,
                                   float slope);

/// An engine with its knobs, as cuDNN's heuristics propose it.
struct EngineChoice {
  Descriptor config;
  std::string name;                ///< "engine 47 (2=1 13=0)": its global index, knob type = value
  std::string notes;               ///< numerical notes
  bool uses_tensor_cores = false;  ///< or rounds its inputs; excluded from the fp32 class
};
std::vector<EngineChoice> engine_choices(const GraphTarget& target, const OperationGraph& g,
                                         cudnnBackendHeurMode_t mode);

/// A plan ready to run.
class ExecutionPlan {
 public:
  /// Throws Error if cuDNN refuses.
  ExecutionPlan(const GraphTarget& target, const OperationGraph& g, const EngineChoice& choice);
  size_t workspace() const { return workspace_; }
  /// `pointers` in the order of the graph's ids.
  void run(const std::vector<void*>& pointers, void* workspace) const;

 private:
  cudnnHandle_t handle_;
  std::vector<int64_t> ids_;
  Descriptor config_, plan_;
  size_t workspace_ = 0;
};

}  // namespace assay::bench
