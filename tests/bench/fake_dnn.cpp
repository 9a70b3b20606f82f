// A stand-in for cuDNN, so that the comparison runs without it: its plans are our own kernels on
// converted operands, in both layouts and element types. Of each convolution's plans one computes
// nothing, one refuses to be built, and one is slow.
#include <fmt/core.h>

#include "bench/gpu/device_ops.h"
#include "bench/gpu/timer.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"

namespace assay::bench {
namespace {

class FakeDnn final : public DnnLibrary {
 public:
  explicit FakeDnn(void* stream) : cuda_(1), ctx_(cuda_.get()) { ctx_.stream = stream; }

  std::string name() const override { return "fake"; }

  std::vector<std::vector<ConvCandidate>> convolution(const ConvRequest& r, bool) override {
    return {{candidate(r, "idle", Layout::nhwc, 0), candidate(r, "slow", Layout::nhwc, 3),
             candidate(r, "good", Layout::nhwc, 1)},
            {candidate(r, "good", Layout::nchw, 1)},
            {{"nhwc refused", Layout::nhwc, []() -> ConvPlan { throw Error("refused"); }}}};
  }

  Call bias_activation(Extent e, Element t, Layout l, Activation a, float slope) override {
    const Extent c{1, 1, 1, e.C};
    return call({{e, t, l}, {c, t, l}, {e, t, l}}, 2, [=, this](float* const* p) {
      assay::bias_activation<float>(ctx_, a, slope, count(e) / e.C, e.C, p[0], p[1], p[2]);
    });
  }
  Call activation_backward(Extent e, Element t, Layout l, Activation a, float slope) override {
    return call({{e, t, l}, {e, t, l}, {e, t, l}}, 2, [=, this](float* const* p) {
      activation_bprop<float>(ctx_, a, slope, count(e), p[0], p[1], p[2]);
    });
  }
  Call max_pool(Extent e, Element t, Layout l, int window) override {
    return call({{e, t, l}, {pooled(e, window), t, l}}, 1, [=, this](float* const* p) {
      max_pool_fprop<float>(ctx_, shape(e, window), p[0], p[1], nullptr);
    });
  }
  Call max_pool_backward(Extent e, Element t, Layout l, int window) override {
    const Extent y = pooled(e, window);
    return call({{e, t, l}, {y, t, l}, {y, t, l}, {e, t, l}}, 3, [=, this](float* const* p) {
      const Scratch argmax(ctx_, static_cast<size_t>(count(y)));
      max_pool_fprop<float>(ctx_, shape(e, window), p[0], p[1], argmax.as<uint8_t>());
      max_pool_bprop<float>(ctx_, shape(e, window), p[2], argmax.as<uint8_t>(), p[3]);
    });
  }
  Call bias_gradient(Extent e, Element t, Layout l) override {
    return call({{e, t, l}, {{1, 1, 1, e.C}, t, l}}, 1, [=, this](float* const* p) {
      reduce_columns<float>(ctx_, count(e) / e.C, e.C, p[0], p[1]);
    });
  }
  Call batchnorm(Extent, Element, Layout) override { throw Error("fake: no batch norm"); }

 private:
  struct Tensor {
    Extent extent;
    Element element;
    Layout layout;
  };
  static Extent pooled(Extent e, int window) { return {e.N, e.H / window, e.W / window, e.C}; }
  static PoolShape shape(Extent e, int window) { return {e.N, e.H, e.W, e.C, window, window}; }

  /// Runs f on fp32 NHWC copies of the tensors, of which `output` is written back.
  Call call(std::vector<Tensor> tensors, size_t output, std::function<void(float* const*)> f) {
    return [=, this](const std::vector<void*>& pointers) {
      std::vector<Scratch> copies;
      std::vector<float*> plain;
      for (size_t i = 0; i < tensors.size(); ++i) {
        const Tensor& t = tensors[i];
        copies.emplace_back(ctx_, static_cast<size_t>(count(t.extent)) * sizeof(float));
        plain.push_back(copies.back().as<float>());
        convert(ctx_, {pointers[i], t.extent, t.element, t.layout}, {plain[i], t.extent});
      }
      f(plain.data());
      const Tensor& t = tensors[output];
      convert(ctx_, {plain[output], t.extent}, {pointers[output], t.extent, t.element, t.layout});
    };
  }

  ConvCandidate candidate(const ConvRequest& r, const char* what, Layout l, int times) {
    const Conv2dShape& s = r.shape;
    const Element t = r.mode.element;
    std::vector<Tensor> tensors = {{{s.N, s.H, s.W, s.C}, t, l},
                                   {{s.K, s.R, s.S, s.C}, t, l},
                                   {{s.N, s.P(), s.Q(), s.K}, t, l}};
    if (r.bias) tensors.push_back({{1, 1, 1, s.K}, t, l});
    const size_t output = r.pass == Pass::dgrad ? 0 : r.pass == Pass::wgrad ? 1 : 2;
    const Call once = call(tensors, output, [=, this](float* const* p) {
      const Conv2dEpilogue e{r.activation, r.slope, 1};
      if (r.pass == Pass::fprop)
        conv2d_fprop<float>(ctx_, s, e, p[0], p[1], r.bias ? p[3] : nullptr, p[2], nullptr);
      else if (r.pass == Pass::dgrad)
        conv2d_dgrad<float>(ctx_, s, {}, {p[2]}, p[1], p[0]);
      else
        conv2d_wgrad<float>(ctx_, s, {}, p[0], {p[2]}, p[1], nullptr);
    });
    return {fmt::format("{} {}", name_of(l), what), l, [=, bias = r.bias] {
              return ConvPlan{"", 16, [=](const ConvPointers& p, void*) {
                                std::vector<void*> pointers = {p.x, p.w, p.y};
                                if (bias) pointers.push_back(const_cast<void*>(p.bias));
                                for (int i = 0; i < times; ++i) once(pointers);
                              }};
            }};
  }

  CudaContext cuda_;
  Context ctx_;
};

}  // namespace

// Linked before the real open_dnn(), so that this one is used.
std::unique_ptr<DnnLibrary> open_dnn(void* stream) {
  return std::make_unique<FakeDnn>(stream);
}
std::unique_ptr<BlasLibrary> open_blas(void*) {
  return nullptr;
}

}  // namespace assay::bench
