#include "layers/module.h"

#include <doctest/doctest.h>

#include "layers/batchnorm.h"
#include "layers/conv.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tests/support/every_device.h"

using namespace assay;

namespace {

std::vector<std::string> names(const std::vector<Parameter>& parameters) {
  std::vector<std::string> all;
  for (const Parameter& p : parameters) all.push_back(p.name);
  return all;
}

/// A module of PyTorch's kinds: [Conv2d ReLU MaxPool] [BatchNorm LeakyReLU] [Upsample Conv2d].
void build(Sequential& net) {
  net.add<Conv2d>(
         Conv2dConfig{.C = 3, .K = 4, .op = {.pad = 1, .activation = Activation::relu, .pool = 2}})
      .add<BatchNorm>(BatchNormConfig{.C = 4, .activation = Activation::leaky_relu})
      .add<Conv2d>(Conv2dConfig{.C = 4, .K = 2, .op = {.pad = 1, .upsample = 2}, .bias = false});
}

}  // namespace

DEVICE_TEST_CASE("a Sequential numbers its layers as PyTorch would") {
  Sequential net;
  build(net);
  CHECK(names(net.parameters()) ==
        std::vector<std::string>{"0.weight", "0.bias", "3.weight", "3.bias", "6.weight"});
  std::vector<std::string> buffers;
  for (const Buffer& b : net.buffers()) buffers.push_back(b.name);
  CHECK(buffers ==
        std::vector<std::string>{"3.running_mean", "3.running_var", "3.num_batches_tracked"});
}

TEST_CASE("each layer knows how many modules of PyTorch it stands for") {
  const auto span = [](const Module& m) {
    return std::pair(m.torch_span().modules, m.torch_span().owner);
  };
  CHECK(span(Conv2d({.C = 1, .K = 1})) == std::pair(1, 0));
  CHECK(span(Conv2d(
            {.C = 1, .K = 1, .op = {.upsample = 2, .activation = Activation::relu, .pool = 2}})) ==
        std::pair(4, 1));
  CHECK(span(ConvTranspose2d({.C_in = 1, .C_out = 1, .op = {.activation = Activation::tanh}})) ==
        std::pair(2, 0));
  CHECK(span(Linear({.in = 1, .out = 1, .activation = Activation::relu})) == std::pair(2, 0));
  CHECK(span(BatchNorm({.C = 1})) == std::pair(1, 0));
}

DEVICE_TEST_CASE("train and eval reach the whole tree") {
  Sequential net;
  build(net);
  const Tensor x = Tensor::full({2, 4, 4, 3}, 0.5);
  const auto count = [&] { return *net.buffers().back().count; };
  net(x);
  CHECK(count() == 1);
  net.eval();
  CHECK_FALSE(net.training());
  net(x);
  CHECK(count() == 1);
  net.train();
  net(x);
  CHECK(count() == 2);
}

DEVICE_TEST_CASE("parameters want gradients until they are told not to") {
  Sequential net;
  build(net);
  for (const Parameter& p : net.parameters()) CHECK(p.tensor.requires_grad());
  net.set_requires_grad(false);
  Tape tape;
  net(Tensor::full({2, 4, 4, 3}, 0.5));
  CHECK(tape.size() == 0);
}

DEVICE_TEST_CASE("a network describes itself: names, shapes, parameters, work") {
  Sequential net;
  build(net);
  std::vector<LayerRow> rows;
  const Shape output = net.describe("net", {2, 8, 8, 3}, rows);
  CHECK(output == net(Tensor::full({2, 8, 8, 3}, 0.5)).shape());
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].name == "net.0");
  CHECK(rows[0].what == "conv 3x3/1/1, ReLU, max-pool 2");
  CHECK(rows[0].output == Shape{2, 4, 4, 4});
  CHECK(rows[0].parameters == 4 * 3 * 9 + 4);
  CHECK(rows[0].flops == 2 * 2 * 8 * 8 * 4 * 27);
  CHECK(rows[1].what == "batch norm, LeakyReLU");
  CHECK(rows[1].parameters == 8);
  CHECK(rows[2].name == "net.6");
  CHECK(rows[2].what == "upsample 2, conv 3x3/1/1");
  int64_t parameters = 0;
  for (const LayerRow& row : rows) parameters += row.parameters;
  CHECK(parameters == net.parameter_count());
  CHECK_THROWS_WITH_AS(net.describe("net", {2, 8, 8, 1}, rows),
                       "net.0: wants images (N,H,W,3) but gets (2, 8, 8, 1)", Error);
}

TEST_CASE("the table of a transposed convolution has the shape and work of its forward pass") {
  const ConvTranspose2d layer({.C_in = 3, .C_out = 2, .op = {.stride = 2, .pad = 1}});
  std::vector<LayerRow> rows;
  layer.describe("up", {1, 4, 5, 3}, rows);
  CHECK(rows[0].output == Shape{1, 8, 10, 2});
  CHECK(rows[0].flops == 2 * 4 * 5 * 3 * 16 * 2);
  CHECK(rows[0].min_bytes == 4 * (4 * 5 * 3 + 8 * 10 * 2 + 3 * 16 * 2 + 2));
}
