#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/every_device.h"
#include "tests/support/golden_file.h"
#include "tests/support/gradcheck_cases.h"

using namespace assay;
using namespace assay::testing;

TEST_CASE("every operation has the derivative of its value") {
  for (const GradcheckCase& c : gradcheck_cases()) {
    CAPTURE(c.op);
    CAPTURE(c.what);
    CHECK(gradient_error(c.f, c.inputs) < 1e-7);
  }
}

namespace {

/// y and the gradients of the inputs, for dy = cos 1, cos 2, ...
std::vector<Tensor> value_and_gradients(const Function& f, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> results;
  for (Tensor t : inputs) {
    t.set_grad({});
    t.set_requires_grad(true);
  }
  Tape tape;
  results.push_back(f(inputs));
  std::vector<double> dy(results[0].size());
  for (size_t i = 0; i < dy.size(); ++i) dy[i] = std::cos(static_cast<double>(i + 1));
  const std::vector<float> rounded(dy.begin(), dy.end());
  const Shape& shape = results[0].shape();
  tape.backward(results[0], inputs[0].dtype() == DType::f64
                                ? Tensor::from(shape, std::span<const double>(dy))
                                : Tensor::from(shape, std::span<const float>(rounded)));
  for (const Tensor& t : inputs) results.push_back(t.grad());
  return results;
}

}  // namespace

// At most n = 288 products of normal numbers add up, a sum of k of them being near sqrt(k). Float32
// rounds each addition by up to 2^-24 of it, to either side: all together by 2^-24 n / sqrt(6), as
// their deviation, of which six are allowed.
TEST_CASE("float32 has the values and derivatives of float64, on every device") {
  constexpr double kRounding = 6 * 0x1p-24 * 288 / 2.4;
  const std::vector<GradcheckCase> cases = gradcheck_cases();
  std::vector<std::vector<Tensor>> wanted;
  for (const GradcheckCase& c : cases) wanted.push_back(value_and_gradients(c.f, c.inputs));
  test::on_every_device([&] {
    for (size_t i = 0; i < cases.size(); ++i) {
      CAPTURE(cases[i].op);
      CAPTURE(cases[i].what);
      std::vector<Tensor> inputs;
      for (const Tensor& t : cases[i].inputs) inputs.push_back(t.to(DType::f32));
      const std::vector<Tensor> got = value_and_gradients(cases[i].f, inputs);
      for (size_t k = 0; k < got.size(); ++k) {
        CAPTURE(k);
        CHECK(difference(got[k], wanted[i][k]) < kRounding);
      }
    }
  });
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
    Tape::record("wrong", {in[0]}, y, [](const Tensor& dy, const NeedsInputGrad&) {
      return std::vector<Tensor>{affine(dy, 2.00001, 0)};
    });
    return y;
  };
  CHECK(gradient_error(wrong, {random.normal({6})}) > 1e-6);
}
