#include <doctest/doctest.h>

#include <limits>

#include "tensor/ops.h"
#include "tensor/tape.h"
#include "tests/support/every_device.h"
#include "tests/support/random_tensors.h"
#include "tests/support/this_program.h"

using namespace assay;
using testing::RandomTensors;

namespace {

Tensor leaf(const std::vector<float>& values) {
  Tensor t = Tensor::from({static_cast<int64_t>(values.size())}, std::span<const float>(values));
  return t.set_requires_grad(true);
}

}  // namespace

DEVICE_TEST_CASE("without a tape, or without a gradient wanted, nothing is recorded") {
  const Tensor x = leaf({1, 2});
  CHECK_FALSE(affine(x, 2, 0).requires_grad());
  Tape tape;
  affine(x.detach(), 2, 0);
  CHECK(tape.size() == 0);
  CHECK(affine(x, 2, 0).requires_grad());
  CHECK(tape.size() == 1);
}

TEST_CASE("the innermost tape records") {
  const Tensor x = leaf({1, 2});
  Tape outer;
  {
    Tape inner;
    affine(x, 2, 0);
    CHECK(inner.size() == 1);
    CHECK(Tape::current() == &inner);
  }
  CHECK(outer.size() == 0);
  CHECK(Tape::current() == &outer);
}

DEVICE_TEST_CASE("gradients add up over uses and over passes") {
  const Tensor x = leaf({3, -1});
  for (int pass = 1; pass <= 2; ++pass) {
    Tape tape;
    tape.backward(sum(add(multiply(x, x), x)));  // 2x + 1
    CHECK(x.grad().to_doubles() == std::vector<double>{7.0 * pass, -1.0 * pass});
    CHECK(tape.size() == 0);
  }
}

DEVICE_TEST_CASE("on CUDA the second gradient of a leaf is left to the reader to add") {
  const Tensor x = leaf({3, -1});
  for (int pass = 1; pass <= 3; ++pass) {
    Tape tape;
    tape.backward(sum(multiply(x, x)));  // two gradients of x
    if (pass == 1) CHECK((x.grad().partial_sum() != nullptr) == x.device().is_cuda());
    CHECK(x.grad().to_doubles() == std::vector<double>{6.0 * pass, -2.0 * pass});
  }
}

DEVICE_TEST_CASE("adding up never changes a tensor that somebody else can see") {
  const Tensor a = leaf({1, 2}), b = leaf({5, 6});
  Tape tape;
  tape.backward(add(add(a, b), a), Tensor::full({2}, 1));  // dy is shared by all
  CHECK(a.grad().to_doubles() == std::vector<double>{2, 2});
  CHECK(b.grad().to_doubles() == std::vector<double>{1, 1});

  const Tensor seen = a.grad();
  tape.backward(sum(a));
  CHECK(seen.to_doubles() == std::vector<double>{2, 2});
  CHECK(a.grad().to_doubles() == std::vector<double>{3, 3});
}

DEVICE_TEST_CASE("only leaves keep a gradient") {
  const Tensor x = leaf({1, 2});
  Tape tape;
  const Tensor h = affine(x, 2, 0);
  tape.backward(sum(h));
  CHECK(x.grad().defined());
  CHECK_FALSE(h.grad().defined());
}

DEVICE_TEST_CASE("what is not on a path to y gets nothing") {
  const Tensor x = leaf({1}), other = leaf({1});
  Tape tape;
  const Tensor y = affine(x, 3, 0);
  affine(other, 3, 0);
  tape.backward(y);
  CHECK(x.grad().item() == 3);
  CHECK_FALSE(other.grad().defined());
}

DEVICE_TEST_CASE("gradients that nobody needs are not computed") {
  Tensor x = leaf({1}), constant = leaf({2});
  constant.set_requires_grad(false);
  NeedsInputGrad asked;
  Tape tape;
  Tensor y = affine(constant, 1, 0);
  Tape::record("spy", {x, constant}, y,
               [&](const Tensor& dy, const NeedsInputGrad& needs_input_grad) {
                 asked = needs_input_grad;
                 return std::vector<Tensor>{dy, dy};
               });
  tape.backward(y);
  CHECK(asked == NeedsInputGrad{true, false});
  CHECK_FALSE(constant.grad().defined());
}

TEST_CASE("backward frees activations as it goes") {
  RandomTensors random(1);
  Tensor x = random.normal({1000});
  x.set_requires_grad(true);
  const int64_t before = cpu_allocator().stats().live;
  {
    Tape tape;
    Tensor loss = [&] {
      Tensor h = x;
      for (int i = 0; i < 20; ++i) h = sigmoid(h);
      return sum(h);
    }();
    CHECK(cpu_allocator().stats().live - before >= 20 * 8000);
    cpu_allocator().reset_peak();
    const int64_t forward = cpu_allocator().stats().live;
    tape.backward(loss);
    // Beside the activations at most two gradients live at a time: the one of the output of an
    // operation and the one of its input.
    CHECK(cpu_allocator().stats().peak - forward <= 3 * 8192);
  }
  x.set_grad({});
  CHECK(cpu_allocator().stats().live == before);
}

TEST_CASE("a warmed-up step asks the system for no memory") {
  RandomTensors random(1);
  Tensor x = random.normal({4, 9}), w = random.normal({3, 9});
  w.set_requires_grad(true);
  const auto step = [&] {
    w.set_grad({});
    Tape tape;
    tape.backward(mean(linear(x, w, {}, Activation::relu)));
  };
  step();
  const int64_t calls = cpu_allocator().stats().system_calls;
  for (int i = 0; i < 3; ++i) step();
  CHECK(cpu_allocator().stats().system_calls == calls);
}

DEVICE_TEST_CASE("backward refuses what it cannot do") {
  const Tensor x = leaf({1, 2});
  Tape tape;
  CHECK_THROWS_WITH_AS(tape.backward(x), doctest::Contains("was not recorded on this tape"), Error);
  const Tensor y = affine(x, 2, 0);
  CHECK_THROWS_WITH_AS(tape.backward(y), doctest::Contains("(2)"), Error);
  CHECK_THROWS_AS(tape.backward(y, Tensor::zeros({3})), Error);
}

DEVICE_TEST_CASE("check_finite names the operation whose output or gradient is not finite") {
  const bool before = check_finite();
  set_check_finite(true);
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor x = leaf({1, 2});
  CHECK_THROWS_WITH_AS(affine(x, infinity, 0), "affine: the output (2) holds NaN or infinity",
                       Error);
  {
    Tape tape;
    const Tensor y = multiply(x, x);
    const Tensor dy = Tensor::full({2}, infinity);
    CHECK_THROWS_WITH_AS(tape.backward(y, dy), "multiply: the output (2) holds NaN or infinity",
                         Error);
  }
  set_check_finite(false);
  CHECK(affine(x, infinity, 0).to_doubles()[0] == infinity);
  set_check_finite(before);
}

TEST_CASE("check_finite() from the start" * doctest::skip()) {
  CHECK(check_finite());
}

TEST_CASE("ASSAY_CHECK_FINITE=1 turns the check on from the start") {
  const char* test = "check_finite() from the start";
  CHECK(testing::run_this_program("ASSAY_CHECK_FINITE=1", test).code == 0);
  CHECK(testing::run_this_program("ASSAY_CHECK_FINITE=0", test).code != 0);
}
