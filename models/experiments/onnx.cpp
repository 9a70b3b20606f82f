// The messages and field numbers are those of onnx.proto3 (https://github.com/onnx/onnx), the
// encoding is https://protobuf.dev/programming-guides/encoding: few enough to be written by hand.
#include "models/experiments/onnx.h"

#include <fmt/format.h>

#include <cstring>

#include "kernels/runtime/atomic_file.h"
#include "kernels/runtime/error.h"
#include "layers/state.h"
#include "tensor/ops.h"

namespace assay {
namespace {

/// One message of protobuf.
class Message {
 public:
  Message& number(int field, uint64_t value) {
    key(field, 0);
    varint(value);
    return *this;
  }
  Message& real(int field, float value) {
    key(field, 5);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_.append(value);
    return *this;
  }
  Message& message(int field, const Message& value) { return text(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void key(int field, int wire_type) { varint(static_cast<uint64_t>(field) << 3 | wire_type); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

constexpr int kFloat = 1, kInt64 = 7;  // TensorProto.DataType

Message attribute(const char* name, int64_t value) {
  return Message().text(1, name).number(3, static_cast<uint64_t>(value)).number(20, 2);
}
Message attribute(const char* name, float value) {
  return Message().text(1, name).real(2, value).number(20, 1);
}
Message attribute(const char* name, const char* value) {
  return Message().text(1, name).text(4, value).number(20, 3);
}
Message attribute(const char* name, const std::vector<int64_t>& values) {
  Message message = Message().text(1, name);
  for (const int64_t v : values) message.number(8, static_cast<uint64_t>(v));
  return message.number(20, 7);
}

/// TensorProto.
Message tensor(const std::string& name, const Shape& shape, int type, const void* data,
               size_t bytes) {
  Message message;
  for (const int64_t d : shape) message.number(1, static_cast<uint64_t>(d));
  return message.number(2, type).text(8, name).text(9, {static_cast<const char*>(data), bytes});
}

/// ValueInfoProto of (batch, sides...).
Message value_info(const std::string& name, const std::vector<int64_t>& sides) {
  Message shape = Message().message(1, Message().text(2, "batch"));
  for (const int64_t side : sides)
    shape.message(1, Message().number(1, static_cast<uint64_t>(side)));
  return Message().text(1, name).message(
      2, Message().message(1, Message().number(1, kFloat).message(2, shape)));
}

/// Appends the layers of networks to a graph.
class GraphWriter {
 public:
  /// A node with one output, whose name is returned.
  std::string node(const char* type, const std::vector<std::string>& inputs,
                   const std::vector<Message>& attributes = {}, std::string output = "") {
    if (output.empty()) output = fmt::format("{}_{}", type, nodes_);
    Message message;
    for (const std::string& input : inputs) message.text(1, input);
    message.text(2, output).text(3, fmt::format("node_{}", nodes_++)).text(4, type);
    for (const Message& a : attributes) message.message(5, a);
    graph_.message(1, message);
    return output;
  }
  template <class T>
  std::string constant(const std::string& name, int type, const Shape& shape,
                       const std::vector<T>& values) {
    graph_.message(5, tensor(name, shape, type, values.data(), values.size() * sizeof(T)));
    return name;
  }
  std::string weight(const std::string& prefix, const StateDict& state, const std::string& name) {
    const StoredTensor& t = state.at(name);
    graph_.message(5, tensor(prefix + name, t.shape, kFloat, t.bytes.data(), t.bytes.size()));
    return prefix + name;
  }
  void input(const Message& info) { graph_.message(11, info); }
  void output(const Message& info) { graph_.message(12, info); }
  Message finish() { return graph_.text(2, "assay"); }

 private:
  Message graph_;
  int nodes_ = 0;
};

/// The layers of one network, from its table.
class NetworkWriter {
 public:
  NetworkWriter(GraphWriter& graph, const Network& network, std::string prefix)
      : graph_(graph), state_(save_state(network)), prefix_(std::move(prefix)) {}

  /// Appends the layer behind `at`, the output so far; `is_flat`: (batch,I), not an image.
  void add(const LayerRow& row) {
    if (row.conv)
      add_convolution(row);
    else if (row.is_dense)
      add_product(row);
    else
      add_norm(row);
    if (row.activation != Activation::none) add_activation(row);
    if (row.conv && row.conv->epilogue.pool > 1) {
      const int64_t side = row.conv->epilogue.pool;
      at = graph_.node("MaxPool", {at},
                       {attribute("kernel_shape", std::vector{side, side}),
                        attribute("strides", std::vector{side, side})});
    }
  }

  std::string at;
  bool is_flat = false;

 private:
  std::vector<std::string> operands(const LayerRow& row) {
    std::vector<std::string> names = {at, graph_.weight(prefix_, state_, row.name + ".weight")};
    if (state_.contains(row.name + ".bias"))
      names.push_back(graph_.weight(prefix_, state_, row.name + ".bias"));
    return names;
  }

  void add_convolution(const LayerRow& row) {
    const Conv2dShape& s = row.conv->shape;
    if (is_flat) {
      const std::vector<int64_t> shape = {0, s.C, s.H / s.upsample, s.W / s.upsample};  // 0: batch
      at = graph_.node("Reshape",
                       {at, graph_.constant(prefix_ + row.name + ".shape", kInt64, {4}, shape)});
      is_flat = false;
    }
    if (s.upsample > 1) {
      const auto by = static_cast<float>(s.upsample);
      const std::string scales = graph_.constant(prefix_ + row.name + ".scales", kFloat, {4},
                                                 std::vector<float>{1, 1, by, by});
      at = graph_.node("Resize", {at, "", scales},
                       {attribute("mode", "nearest"), attribute("nearest_mode", "floor"),
                        attribute("coordinate_transformation_mode", "asymmetric")});
    }
    const std::vector<int64_t> filter = {s.R, s.S}, strides = {s.stride, s.stride}, pads(4, s.pad);
    at = graph_.node(row.conv->transposed ? "ConvTranspose" : "Conv", operands(row),
                     {attribute("kernel_shape", filter), attribute("strides", strides),
                      attribute("pads", pads)});
  }

  void add_product(const LayerRow& row) {
    if (!is_flat) at = graph_.node("Flatten", {at}, {attribute("axis", int64_t{1})});
    is_flat = true;
    at = graph_.node("Gemm", operands(row), {attribute("transB", int64_t{1})});
  }

  void add_norm(const LayerRow& row) {
    std::vector<std::string> names = operands(row);
    for (const char* statistic : {".running_mean", ".running_var"})
      names.push_back(graph_.weight(prefix_, state_, row.name + statistic));
    at = graph_.node("BatchNormalization", names,
                     {attribute("epsilon", static_cast<float>(BatchNormOpOptions().eps))});
  }

  void add_activation(const LayerRow& row) {
    switch (row.activation) {
      case Activation::relu:
        at = graph_.node("Relu", {at});
        break;
      case Activation::leaky_relu:
        at = graph_.node("LeakyRelu", {at}, {attribute("alpha", row.slope)});
        break;
      case Activation::sigmoid:
        at = graph_.node("Sigmoid", {at});
        break;
      case Activation::tanh:
        at = graph_.node("Tanh", {at});
        break;
      default:
        throw Error(fmt::format("onnx: {} has an activation that is not exported", row.name));
    }
  }

  GraphWriter& graph_;
  const StateDict state_;
  const std::string prefix_;
};

/// (N,H,W,C) -> {C,H,W}; (N,I) -> {I}.
std::vector<int64_t> sides_of(const Shape& shape) {
  if (shape.size() == 4) return {shape[3], shape[1], shape[2]};
  return {shape.begin() + 1, shape.end()};
}

/// Writes one network's layers and, at the row that asks for it, the inner output.
std::string write_layers(GraphWriter& graph, const OnnxSource& source, const Network& network,
                         const std::string& prefix, Shape& output) {
  std::vector<LayerRow> rows = network.table(1);
  std::erase_if(rows, [&](const LayerRow& row) { return !row.name.starts_with(source.rows); });
  NetworkWriter layers(graph, network, prefix);
  layers.at = source.input;
  for (size_t i = 0; i < rows.size(); ++i) {
    layers.add(rows[i]);
    const auto is_inner = [&](size_t row) {
      return !source.inner_rows.empty() && row < rows.size() &&
             rows[row].name.starts_with(source.inner_rows);
    };
    if (!is_inner(i) || is_inner(i + 1)) continue;
    graph.node("Flatten", {layers.at}, {attribute("axis", int64_t{1})}, source.inner_output);
    graph.output(value_info(source.inner_output, {numel(rows[i].output)}));
  }
  output = rows.back().output;
  return layers.at;
}

}  // namespace

void write_onnx(const OnnxSource& source, const std::filesystem::path& file) {
  const auto count = source.networks.size();
  ASSAY_CHECK(count == 1 || (count > 1 && source.mean_probability),
              "onnx: {} networks cannot be one graph", count);
  GraphWriter graph;
  graph.input(value_info(source.input, sides_of(source.networks.front()->input_shape(1))));
  std::vector<std::string> results;
  Shape output;
  for (size_t i = 0; i < count; ++i) {
    const std::string prefix = count == 1 ? "" : fmt::format("{}.", i);
    results.push_back(write_layers(graph, source, *source.networks[i], prefix, output));
    if (source.mean_probability) results.back() = graph.node("Sigmoid", {results.back()});
  }
  graph.node(source.mean_probability ? "Mean" : "Identity", results, {}, source.output);
  graph.output(value_info(source.output, sides_of(output)));

  Message model = Message().number(1, 7).text(2, "assay").message(7, graph.finish());
  model.message(8, Message().text(1, "").number(2, 13));
  for (const auto& [key, value] : source.metadata)
    model.message(14, Message().text(1, key).text(2, value));
  write_file(file, model.bytes());
}

}  // namespace assay
