#include "optim/optimizer.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cmath>

#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tests/support/every_device.h"
#include "tests/support/random_tensors.h"

using namespace assay;
using testing::RandomTensors;

namespace {

/// Parameters of awkward sizes.
std::vector<Parameter> make_parameters(uint64_t seed, DType type = DType::f32) {
  RandomTensors random(seed, type);
  std::vector<Parameter> parameters;
  for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{17}}) {
    Parameter p;
    p.name = fmt::format("p{}", parameters.size());
    p.tensor = random.normal(shape);
    p.tensor.set_requires_grad(true);
    parameters.push_back(p);
  }
  return parameters;
}

void set_gradients(const std::vector<Parameter>& parameters, uint64_t seed) {
  RandomTensors random(seed, parameters[0].tensor.dtype());
  for (const Parameter& p : parameters) p.tensor.set_grad(random.normal(p.tensor.shape()));
}

std::vector<double> flat(const std::vector<Parameter>& parameters, bool gradients) {
  std::vector<double> all;
  for (const Parameter& p : parameters)
    for (const double v : (gradients ? p.tensor.grad() : p.tensor).to_doubles()) all.push_back(v);
  return all;
}

/// Ten steps of `optimizer` beside `rule(w, g, step)` element by element, both in float64, where
/// the order of operations costs a few units of the last place.
template <class Rule>
void check_ten_steps(Optimizer& optimizer, const std::vector<Parameter>& parameters, Rule rule) {
  std::vector<double> want = flat(parameters, false);
  for (int step = 1; step <= 10; ++step) {
    set_gradients(parameters, 100 + step);
    const std::vector<double> g = flat(parameters, true);
    for (size_t i = 0; i < want.size(); ++i) rule(want[i], g[i], i, step);
    optimizer.step();
  }
  CHECK(optimizer.steps() == 10);
  const std::vector<double> got = flat(parameters, false);
  for (size_t i = 0; i < want.size(); ++i) CHECK(std::abs(got[i] - want[i]) < 1e-13);
}

}  // namespace

TEST_CASE("Adam takes the steps of its definition, with epsilon in either place") {
  for (const EpsPlacement placement : {EpsPlacement::keras, EpsPlacement::torch}) {
    const auto parameters = make_parameters(1, DType::f64);
    const AdamOptions o{.learning_rate = 0.01, .beta1 = 0.5, .eps = 1e-3, .placement = placement};
    Adam adam(parameters, o);
    std::vector<double> m(40, 0), v(40, 0);
    check_ten_steps(adam, parameters, [&](double& w, double g, size_t i, int t) {
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
      const double c1 = 1 - std::pow(o.beta1, t), c2 = 1 - std::pow(o.beta2, t);
      if (placement == EpsPlacement::keras)
        w -= o.learning_rate * std::sqrt(c2) / c1 * m[i] / (std::sqrt(v[i]) + o.eps);
      else
        w -= o.learning_rate * (m[i] / c1) / (std::sqrt(v[i] / c2) + o.eps);
    });
  }
}

TEST_CASE("RMSprop takes the steps of its definition, with epsilon in either place") {
  for (const EpsPlacement placement : {EpsPlacement::keras, EpsPlacement::torch}) {
    const auto parameters = make_parameters(2, DType::f64);
    const RmspropOptions o{.learning_rate = 0.01, .eps = 1e-3, .placement = placement};
    Rmsprop rmsprop(parameters, o);
    std::vector<double> v(40, 0);
    check_ten_steps(rmsprop, parameters, [&](double& w, double g, size_t i, int) {
      v[i] = o.rho * v[i] + (1 - o.rho) * g * g;
      if (placement == EpsPlacement::keras)
        w -= o.learning_rate * g / std::sqrt(v[i] + o.eps);
      else
        w -= o.learning_rate * g / (std::sqrt(v[i]) + o.eps);
    });
  }
}

DEVICE_TEST_CASE("a learning rate of 0 changes nothing") {
  const auto parameters = make_parameters(3);
  const std::vector<double> before = flat(parameters, false);
  Adam adam(parameters, {});
  adam.set_learning_rate(0);
  set_gradients(parameters, 1);
  adam.step();
  CHECK(flat(parameters, false) == before);
}

DEVICE_TEST_CASE("a loaded optimizer goes on to the same bits") {
  const auto a = make_parameters(4), b = make_parameters(4);
  Adam first(a, {}), second(b, {});
  for (int step = 0; step < 3; ++step) {
    set_gradients(a, step);
    first.step();
  }
  for (size_t i = 0; i < a.size(); ++i) b[i].tensor.copy_from(a[i].tensor);
  second.load(first.save(), "test");
  CHECK(second.steps() == 3);
  for (int step = 3; step < 6; ++step) {
    set_gradients(a, step);
    set_gradients(b, step);
    first.step();
    second.step();
  }
  CHECK(flat(a, false) == flat(b, false));
}

DEVICE_TEST_CASE(
    "a state of another optimizer or of other parameters is refused and changes nothing") {
  const auto parameters = make_parameters(5);
  Adam adam(parameters, {});
  set_gradients(parameters, 1);
  adam.step();
  const StateDict before = adam.save();
  Rmsprop rmsprop(parameters, {});
  CHECK_THROWS_WITH_AS(adam.load(rmsprop.save(), "c"), "c: adam.steps is missing", CheckpointError);
  StateDict wrong = before;
  wrong["adam.v.p2"] = StoredTensor::of(Tensor::zeros({16}));
  wrong["adam.steps"] = StoredTensor::of(int64_t{99});
  CHECK_THROWS_WITH_AS(adam.load(wrong, "c"),
                       "c: adam.v.p2 is F32 (16) but the optimizer has F32 (17)", CheckpointError);
  CHECK(adam.steps() == 1);
}

DEVICE_TEST_CASE("a step without a gradient is an error that names the parameter") {
  const auto parameters = make_parameters(6);
  Adam adam(parameters, {});
  set_gradients(parameters, 1);
  parameters[1].tensor.set_grad({});
  CHECK_THROWS_WITH_AS(adam.step(), doctest::Contains("p1 has no gradient"), Error);
  adam.zero_grad();
  CHECK_FALSE(parameters[0].tensor.grad().defined());
  CHECK_THROWS_AS(Adam({}, {}), Error);
}
