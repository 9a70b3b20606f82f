#include <doctest/doctest.h>

#include <algorithm>

#include "tests/tensor/gradcheck_cases.h"

using namespace assay;
using namespace assay::testing;

TEST_CASE("every operation has the derivative of its value") {
  for (const GradcheckCase& c : gradcheck_cases()) {
    CAPTURE(c.op);
    CAPTURE(c.what);
    CHECK(gradient_error(c.f, c.inputs) < 1e-7);
  }
}

TEST_CASE("each case records the operation that it is named after") {
  for (const GradcheckCase& c : gradcheck_cases()) {
    CAPTURE(c.op);
    for (Tensor t : c.inputs) t.set_requires_grad(true);
    Tape tape;
    c.f(c.inputs);
    const std::vector<std::string_view> ops = tape.ops();
    CHECK(std::find(ops.begin(), ops.end(), c.op) != ops.end());
  }
}

TEST_CASE("a chain of operations, with a tensor that is used twice") {
  RandomTensors random(3);
  const Function f = [](const std::vector<Tensor>& in) {
    const Tensor h =
        conv2d(in[0], in[1], {}, {.stride = 2, .pad = 1, .activation = Activation::tanh});
    return conv_transpose2d(add(h, multiply(h, h)), in[1], {}, {.stride = 2, .pad = 1});
  };
  CHECK(gradient_error(f, {random.normal({1, 8, 8, 2}), random.normal({3, 4, 4, 2})}) < 1e-7);
}

TEST_CASE("the check finds a wrong derivative") {
  RandomTensors random(5);
  const Function wrong = [](const std::vector<Tensor>& in) {
    Tensor y = affine(in[0].detach(), 2, 0);
    Tape::record("wrong", {in[0]}, y, [](const Tensor& dy, const Needs&) {
      return std::vector<Tensor>{affine(dy, 2.00001, 0)};
    });
    return y;
  };
  CHECK(gradient_error(wrong, {random.normal({6})}) > 1e-6);
}
