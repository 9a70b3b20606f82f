// The older API of cuDNN: one function per pass, an algorithm to choose.
#include <fmt/core.h>

#include <array>

#include "bench/baselines/cudnn_library.h"

namespace assay::bench {
namespace {

constexpr float kOne = 1, kZero = 0;

/// Descriptors and algorithm of one convolution.
struct OldPlan {
  std::shared_ptr<OldTensor> x, y;
  OldFilter w;
  OldConvolution convolution;
  int algorithm = 0;
  size_t workspace = 0;
  cudnnMathType_t math = CUDNN_FMA_MATH;

  OldPlan(const ConvRequest& r, Layout l) {
    const Conv2dShape& s = r.shape;
    const cudnnDataType_t type = data_type(r.mode.element);
    x = old_tensor({s.N, s.H, s.W, s.C}, r.mode.element, l);
    y = old_tensor({s.N, s.P(), s.Q(), s.K}, r.mode.element, l);
    ASSAY_CUDNN_CHECK(cudnnSetFilter4dDescriptor(w.get(), type, format(l), s.K, s.C, s.R, s.S));
    ASSAY_CUDNN_CHECK(cudnnSetConvolution2dDescriptor(convolution.get(), s.pad, s.pad, s.stride,
                                                      s.stride, 1, 1, CUDNN_CROSS_CORRELATION,
                                                      CUDNN_DATA_FLOAT));
    // The default already allows TF32 for fp32 tensors, hence FMA by name.
    math = r.mode.element == Element::bf16 ? CUDNN_TENSOR_OP_MATH
           : r.mode.tf32                   ? CUDNN_DEFAULT_MATH
                                           : CUDNN_FMA_MATH;
    set_math(math);
  }
  void set_math(cudnnMathType_t m) {
    math = m;
    ASSAY_CUDNN_CHECK(cudnnSetConvolutionMathType(convolution.get(), m));
  }

  void run(cudnnHandle_t handle, Pass pass, const ConvPointers& p, void* space) const {
    if (pass == Pass::fprop)
      ASSAY_CUDNN_CHECK(cudnnConvolutionForward(handle, &kOne, x->get(), p.x, w.get(), p.w,
                                                convolution.get(),
                                                static_cast<cudnnConvolutionFwdAlgo_t>(algorithm),
                                                space, workspace, &kZero, y->get(), p.y));
    else if (pass == Pass::dgrad)
      ASSAY_CUDNN_CHECK(cudnnConvolutionBackwardData(
          handle, &kOne, w.get(), p.w, y->get(), p.y, convolution.get(),
          static_cast<cudnnConvolutionBwdDataAlgo_t>(algorithm), space, workspace, &kZero, x->get(),
          p.x));
    else
      ASSAY_CUDNN_CHECK(cudnnConvolutionBackwardFilter(
          handle, &kOne, x->get(), p.x, y->get(), p.y, convolution.get(),
          static_cast<cudnnConvolutionBwdFilterAlgo_t>(algorithm), space, workspace, &kZero,
          w.get(), p.w));
  }
};

struct Guess {
  int algorithm;
  size_t workspace;
  cudnnMathType_t math;
  bool deterministic;
};

/// What cudnnGetConvolution*Algorithm_v7 found possible, in its order.
template <class Perf>
std::vector<Guess> possible(const std::array<Perf, 16>& found, int n) {
  std::vector<Guess> guesses;
  for (int i = 0; i < n; ++i) {
    const Perf& p = found[static_cast<size_t>(i)];
    if (p.status == CUDNN_STATUS_SUCCESS)
      guesses.push_back({p.algo, p.memory, p.mathType, p.determinism == CUDNN_DETERMINISTIC});
  }
  return guesses;
}

std::vector<Guess> guess(cudnnHandle_t handle, const OldPlan& p, Pass pass) {
  int n = 0;
  if (pass == Pass::fprop) {
    std::array<cudnnConvolutionFwdAlgoPerf_t, 16> found;
    ASSAY_CUDNN_CHECK(cudnnGetConvolutionForwardAlgorithm_v7(
        handle, p.x->get(), p.w.get(), p.convolution.get(), p.y->get(), 16, &n, found.data()));
    return possible(found, n);
  }
  if (pass == Pass::dgrad) {
    std::array<cudnnConvolutionBwdDataAlgoPerf_t, 16> found;
    ASSAY_CUDNN_CHECK(cudnnGetConvolutionBackwardDataAlgorithm_v7(
        handle, p.w.get(), p.y->get(), p.convolution.get(), p.x->get(), 16, &n, found.data()));
    return possible(found, n);
  }
  std::array<cudnnConvolutionBwdFilterAlgoPerf_t, 16> found;
  ASSAY_CUDNN_CHECK(cudnnGetConvolutionBackwardFilterAlgorithm_v7(
      handle, p.x->get(), p.y->get(), p.convolution.get(), p.w.get(), 16, &n, found.data()));
  return possible(found, n);
}

const char* name_of_algorithm(Pass pass, int algorithm) {
  static const char* const kForward[] = {
      "implicit_gemm", "implicit_precomp_gemm", "gemm", "direct", "fft", "fft_tiling",
      "winograd",      "winograd_nonfused"};
  static const char* const kData[] = {"algo_0",     "algo_1",   "fft",
                                      "fft_tiling", "winograd", "winograd_nonfused"};
  static const char* const kFilter[] = {
      "algo_0", "algo_1", "fft", "algo_3", "winograd", "winograd_nonfused", "fft_tiling"};
  return (pass == Pass::fprop ? kForward : pass == Pass::dgrad ? kData : kFilter)[algorithm];
}

}  // namespace

std::vector<ConvCandidate> old_convolutions(cudnnHandle_t handle, const ConvRequest& r, Layout l) {
  std::vector<ConvCandidate> candidates;
  if (r.bias) return candidates;
  for (const Guess& g : guess(handle, OldPlan(r, l), r.pass)) {
    // TENSOR_OP_MATH_ALLOW_CONVERSION rounds fp32 to half: a different operation.
    const bool tensor_cores = g.math != CUDNN_FMA_MATH;
    if (g.math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION) continue;
    if (tensor_cores && r.mode.element == Element::f32 && !r.mode.tf32) continue;
    const std::string name =
        fmt::format("{} old {}{}", name_of(l), name_of_algorithm(r.pass, g.algorithm),
                    tensor_cores ? " tensor" : " fma");
    candidates.push_back({name, l, [=] {
                            auto plan = std::make_shared<OldPlan>(r, l);
                            plan->algorithm = g.algorithm;
                            plan->workspace = g.workspace;
                            plan->set_math(g.math);
                            ConvPlan built;
                            built.notes = g.deterministic ? "" : "nondeterministic";
                            built.workspace = g.workspace;
                            built.run = [=](const ConvPointers& p, void* space) {
                              plan->run(handle, r.pass, p, space);
                            };
                            return built;
                          }});
  }
  return candidates;
}

}  // namespace assay::bench
