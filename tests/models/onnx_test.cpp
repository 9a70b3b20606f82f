// Exported networks, read back by a decoder of protobuf and an interpreter of this test's own: the
// graph's outputs are the networks'.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string_view>

#include "kernels/runtime/error.h"
#include "models/run/data.h"
#include "tests/models/onnx_runs.h"

namespace assay {
namespace {
namespace fs = std::filesystem;

struct Field {
  int number = 0;
  uint64_t value = 0;      // of a varint or a 32-bit number
  std::string_view bytes;  // of a text or a message
};

uint64_t varint(std::string_view& from) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    REQUIRE(!from.empty());
    REQUIRE(shift < 64);
    const auto byte = static_cast<uint8_t>(from.front());
    from.remove_prefix(1);
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
}

std::vector<Field> fields_of(std::string_view message) {
  std::vector<Field> fields;
  while (!message.empty()) {
    const uint64_t key = varint(message);
    Field& field = fields.emplace_back();
    field.number = static_cast<int>(key >> 3);
    if ((key & 7) == 0) {
      field.value = varint(message);
      continue;
    }
    const size_t bytes = (key & 7) == 5 ? 4 : varint(message);
    REQUIRE(((key & 7) == 5 || (key & 7) == 2));
    REQUIRE(bytes <= message.size());
    field.bytes = message.substr(0, bytes);
    if ((key & 7) == 5) std::memcpy(&field.value, field.bytes.data(), 4);
    message.remove_prefix(bytes);
  }
  return fields;
}

/// The only field of that number; an empty one where there is none.
Field only(std::string_view message, int number) {
  Field found;
  for (const Field& field : fields_of(message))
    if (field.number == number) {
      CHECK(found.number == 0);
      found = field;
    }
  return found;
}

struct Array {
  std::vector<int64_t> shape;
  std::vector<double> values;
  int64_t size() const {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  }
};

Array array_of(std::vector<int64_t> shape) {
  Array a{std::move(shape), {}};
  a.values.resize(static_cast<size_t>(a.size()));
  return a;
}

struct Node {
  std::string type;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, std::vector<int64_t>> ints;
  std::map<std::string, double> reals;
  std::map<std::string, std::string> texts;
};

struct Graph {
  std::vector<Node> nodes;
  std::map<std::string, Array> initializers;
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs, outputs;  // 0: dynamic
};

Array initializer(std::string_view message, std::string& name) {
  Array a;
  std::string_view raw;
  uint64_t type = 0;
  for (const Field& f : fields_of(message)) {
    if (f.number == 1) a.shape.push_back(static_cast<int64_t>(f.value));
    if (f.number == 2) type = f.value;
    if (f.number == 8) name = f.bytes;
    if (f.number == 9) raw = f.bytes;
  }
  const auto take = [&](auto one) {
    REQUIRE(raw.size() == sizeof one * static_cast<size_t>(a.size()));
    for (size_t at = 0; at < raw.size(); at += sizeof one) {
      std::memcpy(&one, raw.data() + at, sizeof one);
      a.values.push_back(static_cast<double>(one));
    }
  };
  REQUIRE((type == 1 || type == 7));
  type == 1 ? take(float{}) : take(int64_t{});
  return a;
}

Node node_of(std::string_view message) {
  Node node;
  for (const Field& f : fields_of(message)) {
    if (f.number == 1) node.inputs.emplace_back(f.bytes);
    if (f.number == 2) node.outputs.emplace_back(f.bytes);
    if (f.number == 4) node.type = f.bytes;
    if (f.number != 5) continue;
    const std::string name(only(f.bytes, 1).bytes);
    const uint64_t type = only(f.bytes, 20).value;
    if (type == 1) {
      float value = 0;
      std::memcpy(&value, only(f.bytes, 2).bytes.data(), 4);
      node.reals[name] = value;
    } else if (type == 2) {
      node.ints[name] = {static_cast<int64_t>(only(f.bytes, 3).value)};
    } else if (type == 3) {
      node.texts[name] = only(f.bytes, 4).bytes;
    } else {
      REQUIRE(type == 7);
      for (const Field& value : fields_of(f.bytes))
        if (value.number == 8) node.ints[name].push_back(static_cast<int64_t>(value.value));
    }
  }
  return node;
}

std::pair<std::string, std::vector<int64_t>> value_info(std::string_view message) {
  const std::string_view tensor = only(only(message, 2).bytes, 1).bytes;
  CHECK(only(tensor, 1).value == 1);  // float32
  std::vector<int64_t> sides;
  for (const Field& f : fields_of(only(tensor, 2).bytes)) {
    const Field symbol = only(f.bytes, 2);
    sides.push_back(symbol.number != 0 ? 0 : static_cast<int64_t>(only(f.bytes, 1).value));
  }
  return {std::string(only(message, 1).bytes), sides};
}

Graph graph_of(std::string_view model) {
  CHECK(only(model, 1).value == 7);
  CHECK(only(only(model, 8).bytes, 2).value == 13);
  Graph graph;
  for (const Field& f : fields_of(only(model, 7).bytes)) {
    if (f.number == 1) graph.nodes.push_back(node_of(f.bytes));
    if (f.number == 5) {
      std::string name;
      Array a = initializer(f.bytes, name);
      CHECK(graph.initializers.emplace(name, std::move(a)).second);
    }
    if (f.number == 11) graph.inputs.push_back(value_info(f.bytes));
    if (f.number == 12) graph.outputs.push_back(value_info(f.bytes));
  }
  return graph;
}

std::map<std::string, std::string> metadata_of(std::string_view model) {
  std::map<std::string, std::string> metadata;
  for (const Field& f : fields_of(model))
    if (f.number == 14) metadata.emplace(only(f.bytes, 1).bytes, only(f.bytes, 2).bytes);
  return metadata;
}

// The operators, as https://onnx.ai/onnx/operators defines them, in float64. x (N,C,H,W).

Array conv(const Array& x, const Array& w, const Array* b, int64_t stride, int64_t pad) {
  const int64_t N = x.shape[0], C = x.shape[1], H = x.shape[2], W = x.shape[3], K = w.shape[0],
                R = w.shape[2], S = w.shape[3];
  REQUIRE(w.shape[1] == C);
  const int64_t P = (H + 2 * pad - R) / stride + 1, Q = (W + 2 * pad - S) / stride + 1;
  Array y = array_of({N, K, P, Q});
  size_t at = 0;
  for (int64_t n = 0; n < N; ++n)
    for (int64_t k = 0; k < K; ++k)
      for (int64_t p = 0; p < P; ++p)
        for (int64_t q = 0; q < Q; ++q) {
          double sum = b == nullptr ? 0 : b->values[k];
          for (int64_t c = 0; c < C; ++c)
            for (int64_t r = 0; r < R; ++r)
              for (int64_t s = 0; s < S; ++s) {
                const int64_t h = p * stride - pad + r, v = q * stride - pad + s;
                if (h < 0 || h >= H || v < 0 || v >= W) continue;
                sum += x.values[((n * C + c) * H + h) * W + v] *
                       w.values[((k * C + c) * R + r) * S + s];
              }
          y.values[at++] = sum;
        }
  return y;
}

Array conv_transpose(const Array& x, const Array& w, int64_t stride, int64_t pad) {
  const int64_t N = x.shape[0], C = x.shape[1], H = x.shape[2], W = x.shape[3], K = w.shape[1],
                R = w.shape[2], S = w.shape[3];
  REQUIRE(w.shape[0] == C);
  const int64_t P = (H - 1) * stride - 2 * pad + R, Q = (W - 1) * stride - 2 * pad + S;
  Array y = array_of({N, K, P, Q});
  for (int64_t n = 0; n < N; ++n)
    for (int64_t c = 0; c < C; ++c)
      for (int64_t h = 0; h < H; ++h)
        for (int64_t v = 0; v < W; ++v) {
          const double value = x.values[((n * C + c) * H + h) * W + v];
          for (int64_t k = 0; k < K; ++k)
            for (int64_t r = 0; r < R; ++r)
              for (int64_t s = 0; s < S; ++s) {
                const int64_t p = h * stride - pad + r, q = v * stride - pad + s;
                if (p < 0 || p >= P || q < 0 || q >= Q) continue;
                y.values[((n * K + k) * P + p) * Q + q] +=
                    value * w.values[((c * K + k) * R + r) * S + s];
              }
        }
  return y;
}

/// y(n,c,p,q) = max or copy of x at the window that begins at first(p), first(q).
template <class First>
Array windows(const Array& x, int64_t P, int64_t Q, int64_t side, const First& first) {
  const int64_t H = x.shape[2], W = x.shape[3], planes = x.shape[0] * x.shape[1];
  Array y = array_of({x.shape[0], x.shape[1], P, Q});
  size_t at = 0;
  for (int64_t plane = 0; plane < planes; ++plane)
    for (int64_t p = 0; p < P; ++p)
      for (int64_t q = 0; q < Q; ++q) {
        double most = -std::numeric_limits<double>::infinity();
        for (int64_t r = 0; r < side; ++r)
          for (int64_t s = 0; s < side; ++s)
            most = std::max(most, x.values[(plane * H + first(p) + r) * W + first(q) + s]);
        y.values[at++] = most;
      }
  return y;
}

Array gemm(const Array& x, const Array& w, const Array& b) {
  const int64_t N = x.shape[0], I = x.shape[1], O = w.shape[0];
  REQUIRE(w.shape[1] == I);
  Array y = array_of({N, O});
  for (int64_t n = 0; n < N; ++n)
    for (int64_t o = 0; o < O; ++o) {
      double sum = b.values[o];
      for (int64_t i = 0; i < I; ++i) sum += x.values[n * I + i] * w.values[o * I + i];
      y.values[n * O + o] = sum;
    }
  return y;
}

template <class F>
Array each(Array x, const F& f) {
  for (double& v : x.values) v = f(v);
  return x;
}

Array result_of(const Node& node, const std::vector<const Array*>& in) {
  const Array& x = *in[0];
  const auto number = [&](const char* name) { return node.ints.at(name).at(0); };
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  if (node.type == "Conv")
    return conv(x, *in[1], in.size() > 2 ? in[2] : nullptr, number("strides"), number("pads"));
  if (node.type == "ConvTranspose") {
    CHECK(in.size() == 2);
    return conv_transpose(x, *in[1], number("strides"), number("pads"));
  }
  if (node.type == "MaxPool") {
    const int64_t side = number("kernel_shape");
    CHECK(number("strides") == side);
    return windows(x, x.shape[2] / side, x.shape[3] / side, side,
                   [&](int64_t p) { return p * side; });
  }
  if (node.type == "Resize") {
    const auto by = static_cast<int64_t>(in[2]->values[2]);
    CHECK(in[2]->values == std::vector<double>{1, 1, double(by), double(by)});
    CHECK(node.texts.at("nearest_mode") == "floor");
    CHECK(node.texts.at("coordinate_transformation_mode") == "asymmetric");
    return windows(x, x.shape[2] * by, x.shape[3] * by, 1, [&](int64_t p) { return p / by; });
  }
  if (node.type == "BatchNormalization") {
    Array y = x;
    const int64_t C = x.shape[1], plane = x.shape[2] * x.shape[3];
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t c = i / plane % C;
      y.values[i] = in[1]->values[c] * (x.values[i] - in[3]->values[c]) /
                        std::sqrt(in[4]->values[c] + node.reals.at("epsilon")) +
                    in[2]->values[c];
    }
    return y;
  }
  if (node.type == "Flatten") return {{x.shape[0], x.size() / x.shape[0]}, x.values};
  if (node.type == "Reshape") {
    Array y{{}, x.values};
    for (const double side : in[1]->values) y.shape.push_back(static_cast<int64_t>(side));
    if (y.shape[0] == 0) y.shape[0] = x.shape[0];
    CHECK(y.size() == x.size());
    return y;
  }
  if (node.type == "Gemm") {
    CHECK(number("transB") == 1);
    return gemm(x, *in[1], *in[2]);
  }
  if (node.type == "Relu") return each(x, [](double v) { return std::max(v, 0.0); });
  if (node.type == "LeakyRelu")
    return each(x, [&](double v) { return v > 0 ? v : node.reals.at("alpha") * v; });
  if (node.type == "Sigmoid") return each(x, sigmoid);
  if (node.type == "Tanh") return each(x, [](double v) { return std::tanh(v); });
  if (node.type == "Identity") return x;
  REQUIRE(node.type == "Mean");
  Array y = array_of(x.shape);
  for (const Array* a : in)
    for (size_t i = 0; i < y.values.size(); ++i)
      y.values[i] += a->values[i] / static_cast<double>(in.size());
  return y;
}

/// Every output of the graph by name. Nodes stand in the order of execution.
std::map<std::string, Array> run_graph(const Graph& graph, const Tensor& input) {
  std::map<std::string, Array> known = graph.initializers;
  REQUIRE(graph.inputs.size() == 1);
  Array x{{}, input.to_doubles()};
  for (const int64_t d : input.shape()) x.shape.push_back(d);
  known[graph.inputs[0].first] = x;
  for (const Node& node : graph.nodes) {
    std::vector<const Array*> in;
    for (const std::string& name : node.inputs) {
      REQUIRE((name.empty() || known.contains(name)));
      in.push_back(name.empty() ? nullptr : &known.at(name));
    }
    REQUIRE(node.outputs.size() == 1);
    CAPTURE(node.type);
    CHECK(known.emplace(node.outputs[0], result_of(node, in)).second);
  }
  std::map<std::string, Array> outputs;
  for (const auto& [name, sides] : graph.outputs) {
    outputs[name] = known.at(name);
    CHECK(sides.front() == 0);
    CHECK(std::equal(sides.begin() + 1, sides.end(), outputs[name].shape.begin() + 1,
                     outputs[name].shape.end()));
  }
  return outputs;
}

void check_equal(const Array& found, const Tensor& expected) {
  const std::vector<double> values = expected.to_doubles();
  REQUIRE(found.values.size() == values.size());
  double most = 0;
  for (size_t i = 0; i < values.size(); ++i)
    most =
        std::max(most, std::abs(found.values[i] - values[i]) / std::max(1.0, std::abs(values[i])));
  CHECK(most < 1e-4);
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("onnx: a graph gives what the network gives, whatever the batch") {
  for (const std::string& preset : testing::kExported) {
    CAPTURE(preset);
    const testing::TemporaryFolder temporary;
    const int n = preset == "dcgan" ? 1 : 2;
    const testing::ExportedRun run =
        testing::export_run(preset, temporary / "run", temporary / "network.onnx", n);
    const std::string bytes = text_of(temporary / "network.onnx");
    const Graph graph = graph_of(bytes);
    const std::map<std::string, Array> outputs = run_graph(graph, run.input);
    check_equal(outputs.at(run.source.output), run.output);
    CHECK(outputs.size() == (run.inner.defined() ? 2 : 1));
    if (run.inner.defined()) check_equal(outputs.at("latent"), run.inner);
    CHECK(metadata_of(bytes) == run.source.metadata);
    if (preset != "dcgan") CHECK(metadata_of(bytes).contains("threshold"));
    // Images differ, so an output that ignored its input would be seen.
    const Array& y = outputs.at(run.source.output);
    if (n == 2)
      CHECK(!std::equal(y.values.begin(), y.values.begin() + y.size() / 2,
                        y.values.begin() + y.size() / 2));
  }
}

TEST_CASE("onnx: a model without a network is not exported, several networks need a rule") {
  CHECK(!find_model("lpd").export_networks);
  for (const std::string& name : model_names())
    CHECK((find_model(name).export_networks != nullptr) == (find_model(name).make_step != nullptr));
  KdCae a(KdCae::Variant::pooled, 16, 3), b(KdCae::Variant::pooled, 16, 3);
  const testing::TemporaryFolder temporary;
  CHECK_THROWS_AS(write_onnx({.networks = {&a, &b}}, temporary / "x"), Error);
  CHECK_THROWS_AS(write_onnx({.networks = {&a}}, temporary / "none" / "x"), Error);
}

}  // namespace assay
