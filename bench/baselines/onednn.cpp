#include "bench/baselines/onednn.h"

#include <fmt/core.h>

#include <dnnl.hpp>
#include <memory>
#include <unordered_map>

#include "kernels/runtime/error.h"

namespace assay::bench {
namespace {

using dnnl::algorithm;
using dnnl::memory;

// oneDNN 3 dropped the descriptors of operations.
template <class Primitive, class Hint, class... Args>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const Hint& hint,
                                            const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine, args..., hint);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(args...), engine, hint);
#endif
}
dnnl::convolution_forward::primitive_desc describe_forward(
    const dnnl::engine& engine, algorithm a, const memory::desc& x, const memory::desc& w,
    const memory::desc& bias, const memory::desc& y, const memory::dims& stride,
    const memory::dims& pad) {
  using Forward = dnnl::convolution_forward;
  constexpr auto kTraining = dnnl::prop_kind::forward_training;
#if DNNL_VERSION_MAJOR >= 3
  return Forward::primitive_desc(engine, kTraining, a, x, w, bias, y, stride, pad, pad);
#else
  return Forward::primitive_desc(Forward::desc(kTraining, a, x, w, bias, y, stride, pad, pad),
                                 engine);
#endif
}

// Random, as ours are, so that no kernel profits from zeros.
memory random_memory(const dnnl::engine& engine, const memory::desc& desc, uint64_t seed) {
  memory m(desc, engine);
  const auto values = random_floats(static_cast<int64_t>(desc.get_size() / sizeof(float)), seed);
  std::copy(values.begin(), values.end(), static_cast<float*>(m.get_data_handle()));
  return m;
}

struct Job {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive primitive;
  std::unordered_map<int, memory> operands;

  void add(int which, const memory::desc& desc) {
    operands.emplace(which, random_memory(engine, desc, static_cast<uint64_t>(which)));
  }
  void run() {
    primitive.execute(stream, operands);
    stream.wait();
  }
};

OnednnKernel make(const Conv2dShape& s, Pass pass, algorithm a) {
  auto job = std::make_shared<Job>();
  const auto any = [](std::initializer_list<int> dims) {
    return memory::desc(memory::dims(dims.begin(), dims.end()), memory::data_type::f32,
                        memory::format_tag::any);
  };
  const memory::desc x = any({s.N, s.C, s.H, s.W}), w = any({s.K, s.C, s.R, s.S}),
                     y = any({s.N, s.K, s.P(), s.Q()}),
                     bias({s.K}, memory::data_type::f32, memory::format_tag::x);
  const memory::dims stride{s.stride, s.stride}, pad{s.pad, s.pad};
  const auto forward = describe_forward(job->engine, a, x, w, bias, y, stride, pad);
  std::string name;
  if (pass == Pass::fprop) {
    job->add(DNNL_ARG_SRC, forward.src_desc());
    job->add(DNNL_ARG_WEIGHTS, forward.weights_desc());
    job->add(DNNL_ARG_BIAS, forward.bias_desc());
    job->add(DNNL_ARG_DST, forward.dst_desc());
    job->primitive = dnnl::convolution_forward(forward);
    name = forward.impl_info_str();
  } else if (pass == Pass::dgrad) {
    using Backward = dnnl::convolution_backward_data;
    const auto desc = describe<Backward>(job->engine, forward, a, x, w, y, stride, pad, pad);
    job->add(DNNL_ARG_DIFF_SRC, desc.diff_src_desc());
    job->add(DNNL_ARG_WEIGHTS, desc.weights_desc());
    job->add(DNNL_ARG_DIFF_DST, desc.diff_dst_desc());
    job->primitive = Backward(desc);
    name = desc.impl_info_str();
  } else {
    using Backward = dnnl::convolution_backward_weights;
    const auto desc = describe<Backward>(job->engine, forward, a, x, w, bias, y, stride, pad, pad);
    job->add(DNNL_ARG_SRC, desc.src_desc());
    job->add(DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights_desc());
    job->add(DNNL_ARG_DIFF_BIAS, desc.diff_bias_desc());
    job->add(DNNL_ARG_DIFF_DST, desc.diff_dst_desc());
    job->primitive = Backward(desc);
    name = desc.impl_info_str();
  }
  return {name, [job] { job->run(); }};
}

}  // namespace

std::vector<OnednnKernel> onednn_kernels(const Layer& layer, Pass pass) {
  Conv2dShape s = layer.shape;
  s.H *= s.upsample;
  s.W *= s.upsample;
  s.upsample = 1;
  std::vector<OnednnKernel> kernels;
  for (const algorithm a : {algorithm::convolution_direct, algorithm::convolution_winograd}) {
    try {
      kernels.push_back(make(s, pass, a));
    } catch (const dnnl::error&) {  // no such kernel for this shape
    }
  }
  return kernels;
}

OnednnKernel onednn_products(int batches, int at_once, int M, int N, int K) {
  ASSAY_CHECK(batches % at_once == 0, "{} products are no multiple of {}", batches, at_once);
  const auto matrices = [&](int rows, int columns, memory::format_tag tag) {
    return memory::desc({at_once, rows, columns}, memory::data_type::f32, tag);
  };
  const memory::desc a = matrices(M, K, memory::format_tag::abc),
                     b = matrices(K, N, memory::format_tag::any),
                     c = matrices(M, N, memory::format_tag::abc);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  try {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc desc(engine, a, b, c);
#else
    const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(a, b, c), engine);
#endif
    std::vector<std::unordered_map<int, memory>> calls;
    const memory result(desc.dst_desc(), engine);
    for (int i = 0; i < batches; i += at_once)
      calls.push_back(
          {{DNNL_ARG_SRC, random_memory(engine, desc.src_desc(), 2 * static_cast<uint64_t>(i))},
           {DNNL_ARG_WEIGHTS,
            random_memory(engine, desc.weights_desc(), 2 * static_cast<uint64_t>(i) + 1)},
           {DNNL_ARG_DST, result}});
    return {fmt::format("{}, {} at once", desc.impl_info_str(), at_once),
            [calls, primitive = dnnl::matmul(desc), stream = dnnl::stream(engine)]() mutable {
              for (const auto& call : calls) primitive.execute(stream, call);
              stream.wait();
            }};
  } catch (const dnnl::error& error) {
    throw Error(fmt::format("oneDNN refuses {} products at once: {}", at_once, error.what()));
  }
}

std::string onednn_version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

}  // namespace assay::bench
