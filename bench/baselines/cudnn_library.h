// cuDNN behind the interface of baseline.h: the handle and the two APIs over it.
#pragma once

#include "bench/baselines/cudnn_graph.h"

namespace assay::bench {

constexpr cudnnDataType_t data_type(Element t) {
  return t == Element::f32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}
constexpr cudnnTensorFormat_t format(Layout l) {
  return l == Layout::nhwc ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
}
/// A tensor descriptor of the older API.
inline std::shared_ptr<OldTensor> old_tensor(Extent e, Element t, Layout l) {
  auto d = std::make_shared<OldTensor>();
  ASSAY_CUDNN_CHECK(
      cudnnSetTensor4dDescriptor(d->get(), format(l), data_type(t), e.N, e.C, e.H, e.W));
  return d;
}

/// Candidates of cudnnConvolutionForward, BackwardData and BackwardFilter, in the order of cuDNN's
/// own guess.
std::vector<ConvCandidate> old_convolutions(cudnnHandle_t handle, const ConvRequest& r, Layout l);

class CudnnLibrary final : public DnnLibrary {
 public:
  explicit CudnnLibrary(void* stream);
  ~CudnnLibrary() override;

  std::string name() const override;
  std::vector<std::vector<ConvCandidate>> convolution(const ConvRequest& r,
                                                      bool exhaustive) override;
  Call bias_activation(Extent e, Element t, Layout l, Activation a, float slope) override;
  Call activation_backward(Extent e, Element t, Layout l, Activation a, float slope) override;
  Call max_pool(Extent e, Element t, Layout l, int window) override;
  Call max_pool_backward(Extent e, Element t, Layout l, int window) override;
  Call bias_gradient(Extent e, Element t, Layout l) override;
  Call batchnorm(Extent e, Element t, Layout l) override;

 private:
  std::vector<ConvCandidate> graph_convolutions(const ConvRequest& r, Layout l, bool exhaustive);
  /// The first engine of the heuristics that builds and needs no workspace.
  Call pointwise_call(const OperationGraph& g);

  GraphTarget target_;
};

}  // namespace assay::bench
