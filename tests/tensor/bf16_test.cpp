// Tensors of bf16: conversion, and every operation and derivative against float64.
#include "kernels/runtime/bf16.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/gradcheck_cases.h"
#include "tests/support/kernel_test.h"

using namespace assay;
using namespace assay::testing;

namespace {

/// Unit roundoff: a number of 8 significant bits is within this much of what it was rounded from.
constexpr double kUnit = 0x1p-8;

Tensor of(std::vector<float> values) {
  const Shape shape{static_cast<int64_t>(values.size())};
  return Tensor::from(shape, std::span<const float>(values));
}

}  // namespace

TEST_CASE("a tensor becomes bf16 and comes back") {
  const Tensor x = of({1, 1.00390625f, 1.01171875f, -3e38f, 1e-40f, INFINITY});
  const Tensor y = x.to(DType::bf16);
  CHECK(y.dtype() == DType::bf16);
  CHECK(y.shape() == x.shape());
  CHECK(y.to(DType::bf16).is(y));
  const std::vector<float> got = y.to_floats();
  CHECK(got == std::vector<float>{1, 1, 1.015625f, -0x1.c4p127f, 0x1p-133f, INFINITY});
  CHECK(y.to(DType::f32).to_floats() == got);
  CHECK(y.to(DType::f64).to(DType::bf16).to_floats() == got);
  CHECK(y.to_doubles()[1] == 1);
  CHECK(y.clone().to_floats() == got);
  CHECK(Tensor::zeros({3}, DType::bf16).to_floats() == std::vector<float>(3, 0));
  CHECK(Tensor::full({1}, 0.1, DType::bf16).item() == 0.10009765625);
  CHECK_THROWS_WITH_AS(x.to(DType::u8), doctest::Contains("bfloat16"), Error);
  CHECK_THROWS_WITH_AS(y.data<float>(), "tensor: holds bfloat16, not float32", Error);
  const Tensor target = Tensor::zeros(x.shape(), DType::bf16);
  target.copy_from(y);
  CHECK(target.to_floats() == got);
  CHECK_THROWS_AS(target.copy_from(x), Error);
}

TEST_CASE("a conversion is recorded, and its gradient has the type of its input") {
  Tensor x = of({1, 2, 3});
  x.set_requires_grad(true);
  Tape tape;
  const Tensor y = affine(x.to(DType::bf16), 2, 0);
  CHECK(y.dtype() == DType::bf16);
  CHECK(tape.ops() == std::vector<std::string_view>{"convert", "affine"});
  const Tensor wide = y.to(DType::f32);
  tape.backward(wide, of({1, 1.00390625f, 0.1f}));
  CHECK(x.grad().dtype() == DType::f32);
  CHECK(x.grad().to_floats() == std::vector<float>{2, 2, 0.2001953125f});
}

TEST_CASE("bf16 activations want float32 parameters, losses no bf16 at all") {
  const Tensor x = Tensor::zeros({2, 8, 8, 3}, DType::bf16);
  const Tensor w = Tensor::zeros({4, 3, 3, 3});
  CHECK(conv2d(x, w, {}, {}).dtype() == DType::bf16);
  CHECK_THROWS_WITH_AS(
      conv2d(x, w.to(DType::bf16), {}, {}),
      "conv2d: beside bfloat16 activations the parameters are float32, not bfloat16", Error);
  CHECK_THROWS_WITH_AS(conv2d(x.to(DType::f32), w.to(DType::bf16), {}, {}),
                       "conv2d: mixes float32 and bfloat16", Error);
  CHECK_THROWS_WITH_AS(mse_loss(x, x), "mse_loss: works on float32 and float64, not on bfloat16",
                       Error);
  CHECK_THROWS_AS(add(x, x.to(DType::f32)), Error);
  CHECK(sum(x).dtype() == DType::f32);
}

TEST_CASE("a CUDA device has bf16 tensors") {
  test::for_each_cuda_run([](Context& ctx) {
    const ContextScope scope(ctx);
    const Tensor x = of({1, 1.00390625f, 1.01171875f, -3e38f, 1e-40f, INFINITY});
    const Tensor y = x.to(DType::bf16);
    CHECK(y.dtype() == DType::bf16);
    const std::vector<float> want = {1, 1, 1.015625f, -0x1.c4p127f, 0x1p-133f, INFINITY};
    CHECK(y.to_floats() == want);
    CHECK(y.to(DType::f32).to_floats() == want);
    CHECK(y.clone().to_floats() == want);
    CHECK(y.to(Device::cpu()).to_floats() == want);
    CHECK(Tensor::full({1}, 0.1, DType::bf16).item() == 0.10009765625);
  });
}

namespace {

/// Whether input i of a case is a parameter, which stays float32.
bool is_parameter(const GradcheckCase& c, size_t i) {
  const bool layer =
      c.op == "conv2d" || c.op == "conv_transpose2d" || c.op == "linear" || c.op == "batch_norm";
  return layer && i > 0;
}

struct Result {
  DType type;
  std::vector<double> values;
};

/// y and the gradients of the inputs for the output's gradient dy, whose elements are bf16.
std::vector<Result> value_and_gradients_for(const GradcheckCase& c,
                                            const std::vector<Tensor>& inputs, uint64_t seed) {
  for (Tensor t : inputs) {
    t.set_grad({});
    t.set_requires_grad(true);
  }
  Tape tape;
  const Tensor y = c.f(inputs);
  const Tensor dy = RandomTensors(seed, DType::f32).normal(y.shape()).to(DType::bf16);
  tape.backward(y, dy.to(y.dtype()));
  std::vector<Result> results{{y.dtype(), y.to_doubles()}};
  for (const Tensor& t : inputs) results.push_back({t.grad().dtype(), t.grad().to_doubles()});
  return results;
}

/// |got - want| / |want|, in the Euclidean norm.
double relative_error(const Result& got, const Result& want) {
  const std::vector<double>&a = got.values, &b = want.values;
  double error = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::isnan(error) ? INFINITY : std::sqrt(error / norm);
}

}  // namespace

// Against float64 on the same operands, a value is rounded once, or twice where z and f(z) are
// stored. A gradient starts from f'(y) of a rounded y, for tanh off by 2 y^2 of the unit at most,
// and may be rounded as dz and as dx. Each of these moves a tensor by at most one unit of its norm,
// and on random data a linear map enlarges such noise no more than the tensor itself. Cancellation
// in batch norm's dx takes about half of the norm away.
TEST_CASE("operations on bf16 have the values and derivatives of float64") {
  for (const GradcheckCase& c : gradcheck_cases()) {
    if (c.op.ends_with("_loss")) continue;
    CAPTURE(c.op);
    CAPTURE(c.what);
    std::vector<Tensor> inputs, wide;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      inputs.push_back(c.inputs[i].to(DType::f32));
      if (!is_parameter(c, i)) inputs.back() = inputs.back().to(DType::bf16);
      wide.push_back(inputs.back().to(DType::f64));
    }
    const std::vector<Result> want = value_and_gradients_for(c, wide, 5);
    const auto check = [&](const std::vector<Tensor>& operands) {
      const std::vector<Result> got = value_and_gradients_for(c, operands, 5);
      if (c.op != "sum") CHECK(got[0].type == DType::bf16);
      CHECK(relative_error(got[0], want[0]) <= 2 * kUnit);
      for (size_t i = 0; i < inputs.size(); ++i) {
        CAPTURE(i);
        CHECK(got[i + 1].type == inputs[i].dtype());
        CHECK(relative_error(got[i + 1], want[i + 1]) <= 4 * kUnit);
      }
    };
    if (test::tested("cpu")) check(inputs);
    test::for_each_cuda_run([&](Context& ctx) {
      const ContextScope scope(ctx);
      std::vector<Tensor> there;
      for (const Tensor& t : inputs) there.push_back(t.to(Device::cuda()));
      check(there);
    });
  }
}
