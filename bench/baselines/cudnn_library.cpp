#include "bench/baselines/cudnn_library.h"

#include <fmt/core.h>

namespace assay::bench {
namespace {

constexpr float kOne = 1, kZero = 0;

std::shared_ptr<OldPooling> max_pooling(int window) {
  auto pooling = std::make_shared<OldPooling>();
  ASSAY_CUDNN_CHECK(cudnnSetPooling2dDescriptor(pooling->get(), CUDNN_POOLING_MAX,
                                                CUDNN_NOT_PROPAGATE_NAN, window, window, 0, 0,
                                                window, window));
  return pooling;
}

/// The activation, with a gradient in terms of y, which is all that a training step keeps.
std::shared_ptr<OldActivation> old_activation(Activation a) {
  ASSAY_CHECK(a != Activation::leaky_relu, "cuDNN's older API has no leaky relu");
  auto f = std::make_shared<OldActivation>();
  const auto mode = a == Activation::relu      ? CUDNN_ACTIVATION_RELU
                    : a == Activation::sigmoid ? CUDNN_ACTIVATION_SIGMOID
                    : a == Activation::tanh    ? CUDNN_ACTIVATION_TANH
                                               : CUDNN_ACTIVATION_IDENTITY;
  ASSAY_CUDNN_CHECK(cudnnSetActivationDescriptor(f->get(), mode, CUDNN_NOT_PROPAGATE_NAN, 0));
  return f;
}

/// The order of pointers in a graph of a convolution.
std::vector<void*> in_order(const ConvPointers& p, bool bias) {
  std::vector<void*> pointers = {p.x, p.w, p.y};
  if (bias) pointers.push_back(const_cast<void*>(p.bias));
  return pointers;
}

}  // namespace

CudnnLibrary::CudnnLibrary(void* stream) {
  ASSAY_CUDNN_CHECK(cudnnCreate(&target_.handle));
  ASSAY_CUDNN_CHECK(cudnnSetStream(target_.handle, static_cast<cudaStream_t>(stream)));
}

CudnnLibrary::~CudnnLibrary() {
  cudnnDestroy(target_.handle);
}

std::string CudnnLibrary::name() const {
  const size_t v = cudnnGetVersion();
  return fmt::format("cuDNN {}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

std::vector<std::vector<ConvCandidate>> CudnnLibrary::convolution(const ConvRequest& r,
                                                                  bool exhaustive) {
  std::vector<std::vector<ConvCandidate>> lists;
  for (const Layout l : {Layout::nhwc, Layout::nchw})
    lists.push_back(graph_convolutions(r, l, exhaustive));
  for (const Layout l : {Layout::nhwc, Layout::nchw})
    lists.push_back(old_convolutions(target_.handle, r, l));
  return lists;
}

std::vector<ConvCandidate> CudnnLibrary::graph_convolutions(const ConvRequest& r, Layout l,
                                                            bool exhaustive) {
  const auto graph = std::make_shared<OperationGraph>(convolution_graph(target_, r, l));
  std::vector<cudnnBackendHeurMode_t> modes = {CUDNN_HEUR_MODE_A};
  if (exhaustive) modes.insert(modes.end(), {CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK});
  std::vector<ConvCandidate> candidates;
  for (const auto mode : modes)
    for (const EngineChoice& choice : engine_choices(target_, *graph, mode)) {
      if (choice.uses_tensor_cores && r.mode.element == Element::f32 && !r.mode.tf32) continue;
      const auto build = [this, graph, choice, bias = r.bias] {
        const auto plan = std::make_shared<ExecutionPlan>(target_, *graph, choice);
        return ConvPlan{choice.notes, plan->workspace(),
                        [plan, bias](const ConvPointers& p, void* workspace) {
                          plan->run(in_order(p, bias), workspace);
                        }};
      };
      candidates.push_back({fmt::format("{} {}", name_of(l), choice.name), l, build});
    }
  return candidates;
}

Call CudnnLibrary::pointwise_call(const OperationGraph& g) {
  std::string why = "no engine";
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
    for (const EngineChoice& choice : engine_choices(target_, g, mode)) try {
        const auto plan = std::make_shared<ExecutionPlan>(target_, g, choice);
        if (plan->workspace() > 0) continue;
        return [plan, g](const std::vector<void*>& p) { plan->run(p, nullptr); };
      } catch (const Error& e) {
        why = e.what();
      }
  throw Error("cuDNN: cannot do a pointwise operation: " + why);
}

// Pointwise graphs run in NHWC only (cuDNN 9.19: "not supported, layout"); in NCHW the older API
// takes two steps, in place.
Call CudnnLibrary::bias_activation(Extent e, Element t, Layout l, Activation a, float slope) {
  if (l == Layout::nhwc) return pointwise_call(bias_activation_graph(target_, e, t, l, a, slope));
  const auto f = a == Activation::none ? nullptr : old_activation(a);
  return [=, y = old_tensor(e, t, l), bias = old_tensor({1, 1, 1, e.C}, t, l),
          h = target_.handle](const std::vector<void*>& p) {
    ASSAY_CHECK(p[0] == p[2], "bench: in NCHW bias and activation are in place");
    ASSAY_CUDNN_CHECK(cudnnAddTensor(h, &kOne, bias->get(), p[1], &kOne, y->get(), p[2]));
    if (f != nullptr)
      ASSAY_CUDNN_CHECK(
          cudnnActivationForward(h, f->get(), &kOne, y->get(), p[2], &kZero, y->get(), p[2]));
  };
}

Call CudnnLibrary::activation_backward(Extent e, Element t, Layout l, Activation a, float slope) {
  const bool by_sign = a == Activation::relu || a == Activation::leaky_relu;
  if (l == Layout::nhwc && by_sign)
    return pointwise_call(
        relu_backward_graph(target_, e, t, l, a == Activation::relu ? 0.0f : slope));
  return [=, f = old_activation(a), d = old_tensor(e, t, l),
          h = target_.handle](const std::vector<void*>& p) {
    ASSAY_CUDNN_CHECK(cudnnActivationBackward(h, f->get(), &kOne, d->get(), p[0], d->get(), p[1],
                                              d->get(), p[0], &kZero, d->get(), p[2]));
  };
}

Call CudnnLibrary::max_pool(Extent e, Element t, Layout l, int window) {
  const Extent out{e.N, e.H / window, e.W / window, e.C};
  return [x = old_tensor(e, t, l), y = old_tensor(out, t, l), pool = max_pooling(window),
          h = target_.handle](const std::vector<void*>& p) {
    ASSAY_CUDNN_CHECK(
        cudnnPoolingForward(h, pool->get(), &kOne, x->get(), p[0], &kZero, y->get(), p[1]));
  };
}

Call CudnnLibrary::max_pool_backward(Extent e, Element t, Layout l, int window) {
  const Extent out{e.N, e.H / window, e.W / window, e.C};
  return [x = old_tensor(e, t, l), y = old_tensor(out, t, l), pool = max_pooling(window),
          h = target_.handle](const std::vector<void*>& p) {
    ASSAY_CUDNN_CHECK(cudnnPoolingBackward(h, pool->get(), &kOne, y->get(), p[1], y->get(), p[2],
                                           x->get(), p[0], &kZero, x->get(), p[3]));
  };
}

Call CudnnLibrary::bias_gradient(Extent e, Element t, Layout l) {
  return [z = old_tensor(e, t, l), b = old_tensor({1, 1, 1, e.C}, t, l),
          h = target_.handle](const std::vector<void*>& p) {
    ASSAY_CUDNN_CHECK(
        cudnnConvolutionBackwardBias(h, &kOne, z->get(), p[0], &kZero, b->get(), p[1]));
  };
}

Call CudnnLibrary::batchnorm(Extent e, Element t, Layout l) {
  const auto mode =
      l == Layout::nhwc ? CUDNN_BATCHNORM_SPATIAL_PERSISTENT : CUDNN_BATCHNORM_SPATIAL;
  return [=, x = old_tensor(e, t, l), c = old_tensor({1, 1, 1, e.C}, Element::f32, l),
          h = target_.handle](const std::vector<void*>& p) {
    ASSAY_CUDNN_CHECK(cudnnBatchNormalizationForwardTraining(
        h, mode, &kOne, &kZero, x->get(), p[0], x->get(), p[3], c->get(), p[1], p[2], 0.1, nullptr,
        nullptr, 1e-5, p[4], p[5]));
  };
}

std::unique_ptr<DnnLibrary> open_dnn(void* stream) {
  return std::make_unique<CudnnLibrary>(stream);
}

}  // namespace assay::bench
