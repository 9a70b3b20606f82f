#include "bench/baselines/cudnn_graph.h"

#include <fmt/core.h>

#include <map>

namespace assay::bench {
namespace {

constexpr cudnnDataType_t type_of(Element t) {
  return t == Element::f32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}

/// cuDNN orders dimensions n, c, h, w in every layout; the strides give the layout.
Descriptor tensor(int64_t id, Extent e, Element t, Layout layout, bool is_virtual = false) {
  const int64_t N = e.N, C = e.C, H = e.H, W = e.W;
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type_of(t))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, {N, C, H, W})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{16});
  if (layout == Layout::nhwc)
    d.set(CUDNN_ATTR_TENSOR_STRIDES, {C * H * W, 1, W * C, C});
  else
    d.set(CUDNN_ATTR_TENSOR_STRIDES, {C * H * W, H * W, W, 1});
  // A virtual tensor is between operations of a graph and is never stored.
  if (is_virtual)
    d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, std::vector<char>{1})
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT);
  return d.finalize();
}

Descriptor convolution(const Conv2dShape& s) {
  return Descriptor(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
           std::vector<cudnnConvolutionMode_t>{CUDNN_CROSS_CORRELATION})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {s.pad, s.pad})
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {s.pad, s.pad})
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {1, 1})
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {s.stride, s.stride})
      .finalize();
}

/// The names of corresponding attributes of the three convolution operations.
struct ConvolutionNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t alpha, beta, descriptor, x, w, y;
};
ConvolutionNames names_of(Pass pass) {
  switch (pass) {
    case Pass::fprop:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
    case Pass::dgrad:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
    default:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
  }
}

Descriptor pointwise(cudnnPointwiseMode_t mode, float slope = 0) {
  Descriptor d(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  d.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE,
        std::vector<cudnnPointwiseMode_t>{mode})
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  if (slope != 0) d.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, double{slope});
  return d.finalize();
}

cudnnPointwiseMode_t mode_of(Activation a) {
  switch (a) {
    case Activation::relu:
    case Activation::leaky_relu:
      return CUDNN_POINTWISE_RELU_FWD;
    case Activation::sigmoid:
      return CUDNN_POINTWISE_SIGMOID_FWD;
    case Activation::tanh:
      return CUDNN_POINTWISE_TANH_FWD;
    case Activation::none:
      return CUDNN_POINTWISE_IDENTITY;
  }
  return CUDNN_POINTWISE_IDENTITY;
}

OperationGraph finish(const GraphTarget& target, std::vector<Descriptor> operations,
                      std::vector<Descriptor> parts, std::vector<int64_t> ids) {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& d : operations) raw.push_back(d.get());
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw);
  if (target.handle != nullptr)
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE,
              std::vector<cudnnHandle_t>{target.handle});
  graph.finalize();
  for (Descriptor& d : operations) parts.push_back(std::move(d));
  return {graph, std::move(parts), std::move(ids)};
}

/// Appends y = f(x + bias), or y = x + bias, to the operations.
void append_bias_activation(std::vector<Descriptor>& operations, std::vector<Descriptor>& parts,
                            Extent e, Layout layout, const Descriptor& x, const Descriptor& bias,
                            const Descriptor& y, Activation a, float slope) {
  const bool activates = a != Activation::none;
  const Descriptor sum = activates ? tensor(100, e, Element::f32, layout, true) : y;
  const Descriptor add = pointwise(CUDNN_POINTWISE_ADD);
  operations.push_back(Descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
                           .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, add)
                           .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
                           .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias)
                           .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, sum)
                           .finalize());
  parts.insert(parts.end(), {x, bias, y, sum, add});
  if (!activates) return;
  const Descriptor f = pointwise(mode_of(a), a == Activation::leaky_relu ? slope : 0.0f);
  operations.push_back(Descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
                           .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, f)
                           .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, sum)
                           .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y)
                           .finalize());
  parts.push_back(f);
}

void set_target(Descriptor& d, const GraphTarget& target, cudnnBackendAttributeName_t device) {
  if (target.handle == nullptr) d.set(device, target.device);
}

std::string notes_of(const std::vector<cudnnBackendNumericalNote_t>& notes) {
  static const std::map<cudnnBackendNumericalNote_t, const char*> names = {
      {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, "tensor_core"},
      {CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, "down_convert_inputs"},
      {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, "reduced_precision_reduction"},
      {CUDNN_NUMERICAL_NOTE_FFT, "fft"},
      {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, "nondeterministic"},
      {CUDNN_NUMERICAL_NOTE_WINOGRAD, "winograd"}};
  std::string text;
  for (const auto note : notes)
    if (const auto found = names.find(note); found != names.end())
      text = fmt::format("{}{}{}", text, text.empty() ? "" : " ", found->second);
  return text;
}

}  // namespace

GraphTarget described_device(const std::string& json) {
  GraphTarget target;
  target.device = Descriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  std::vector<char> text(json.begin(), json.end());
  text.push_back('\0');
  target.device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, text).finalize();
  return target;
}

OperationGraph convolution_graph(const GraphTarget& target, const ConvRequest& r, Layout layout) {
  const Conv2dShape& s = r.shape;
  const Element t = r.mode.element;
  const Extent out{s.N, s.P(), s.Q(), s.K};
  const bool fused = r.bias;
  const Descriptor x = tensor(kX, {s.N, s.H, s.W, s.C}, t, layout);
  const Descriptor w = tensor(kW, {s.K, s.R, s.S, s.C}, t, layout);
  const Descriptor y = tensor(kY, out, t, layout);
  const Descriptor z = fused ? tensor(101, out, Element::f32, layout, true) : y;
  const Descriptor c = convolution(s);
  const ConvolutionNames names = names_of(r.pass);
  std::vector<Descriptor> parts = {x, w, y, z, c};
  std::vector<Descriptor> operations = {Descriptor(names.type)
                                            .set(names.descriptor, c)
                                            .set(names.x, x)
                                            .set(names.w, w)
                                            .set(names.y, z)
                                            .set(names.alpha, 1.0)
                                            .set(names.beta, 0.0)
                                            .finalize()};
  std::vector<int64_t> ids = {kX, kW, kY};
  if (fused) {
    const Descriptor bias = tensor(kBias, {1, 1, 1, s.K}, t, layout);
    append_bias_activation(operations, parts, out, layout, z, bias, y, r.activation, r.slope);
    ids.push_back(kBias);
  }
  return finish(target, std::move(operations), std::move(parts), std::move(ids));
}

OperationGraph bias_activation_graph(const GraphTarget& target, Extent e, Element t, Layout l,
                                     Activation a, float slope) {
  std::vector<Descriptor> operations, parts;
  append_bias_activation(operations, parts, e, l, tensor(kX, e, t, l),
                         tensor(kBias, {1, 1, 1, e.C}, t, l), tensor(kY, e, t, l), a, slope);
  return finish(target, std::move(operations), std::move(parts), {kX, kBias, kY});
}

OperationGraph relu_backward_graph(const GraphTarget& target, Extent e, Element t, Layout l,
                                   float slope) {
  const Descriptor y = tensor(kX, e, t, l), dy = tensor(kDy, e, t, l), dx = tensor(kY, e, t, l);
  const Descriptor f = pointwise(CUDNN_POINTWISE_RELU_BWD, slope);
  std::vector<Descriptor> operations = {Descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
                                            .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, f)
                                            .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, y)
                                            .set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, dy)
                                            .set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, dx)
                                            .finalize()};
  return finish(target, std::move(operations), {y, dy, dx, f}, {kX, kDy, kY});
}

std::vector<EngineChoice> engine_choices(const GraphTarget& target, const OperationGraph& g,
                                         cudnnBackendHeurMode_t mode) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g.graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE,
           std::vector<cudnnBackendHeurMode_t>{mode});
  set_target(heuristics, target, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
  heuristics.finalize();
  std::vector<EngineChoice> choices;
  for (const Descriptor& config :
       heuristics.descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)) {
    const Descriptor engine =
        config.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1).at(0);
    std::string knobs;
    for (const Descriptor& knob :
         config.descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR,
                            CUDNN_KNOB_TYPE_COUNTS))
      knobs = fmt::format("{}{}{}={}", knobs, knobs.empty() ? "" : " ",
                          knob.values<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE,
                                                              CUDNN_TYPE_KNOB_TYPE)
                              .at(0),
                          knob.integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
    const auto notes = engine.values<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                                  CUDNN_TYPE_NUMERICAL_NOTE);
    EngineChoice choice{
        config,
        fmt::format("engine {} ({})", engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX), knobs),
        notes_of(notes)};
    for (const auto note : notes)
      if (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE ||
          note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)
        choice.uses_tensor_cores = true;
    choices.push_back(std::move(choice));
  }
  return choices;
}

ExecutionPlan::ExecutionPlan(const GraphTarget& target, const OperationGraph& g,
                             const EngineChoice& choice)
    : handle_(target.handle),
      ids_(g.ids),
      config_(choice.config),
      plan_(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
  plan_.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config_);
  if (handle_ != nullptr)
    plan_.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE,
              std::vector<cudnnHandle_t>{handle_});
  set_target(plan_, target, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  plan_.finalize();
  workspace_ = static_cast<size_t>(plan_.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
}

void ExecutionPlan::run(const std::vector<void*>& pointers, void* workspace) const {
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers)
      .set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids_)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::vector<void*>{workspace})
      .finalize();
  ASSAY_CUDNN_CHECK(cudnnBackendExecute(handle_, plan_.get(), pack.get()));
}

}  // namespace assay::bench
