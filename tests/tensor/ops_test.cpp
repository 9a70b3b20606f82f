#include "tensor/ops.h"

#include <doctest/doctest.h>

#include "tests/support/every_device.h"
#include "tests/support/random_tensors.h"

using namespace assay;
using testing::RandomTensors;

namespace {

Tensor image(const Shape& shape) {
  return Tensor::zeros(shape);
}

}  // namespace

DEVICE_TEST_CASE("conv2d says which shapes do not fit") {
  const Tensor x = image({2, 8, 8, 3}), b = image({4});
  CHECK_THROWS_WITH_AS(conv2d(x, image({4, 3, 3, 5}), b, {}),
                       "conv2d: x (2, 8, 8, 3) has 3 channels but w (4, 3, 3, 5) wants 5", Error);
  CHECK_THROWS_WITH_AS(conv2d(image({2, 8, 3}), image({4, 3, 3, 3}), b, {}),
                       "conv2d: wants x (N,H,W,C) but got (2, 8, 3)", Error);
  CHECK_THROWS_WITH_AS(conv2d(x, image({5, 3, 3, 3}), b, {}),
                       "conv2d: the bias has the shape (4) but the output has 5 channels", Error);
  CHECK_THROWS_WITH_AS(conv2d(x, image({4, 9, 9, 3}), b, {}), doctest::Contains("too small"),
                       Error);
  CHECK_THROWS_AS(conv2d(x, image({4, 3, 3, 3}), b, {.stride = 0}), Error);
  CHECK_THROWS_AS(conv2d(x, image({4, 3, 3, 3}), b, {.upsample = 3}), Error);
  CHECK_THROWS_AS(conv2d(x, image({4, 3, 3, 3}), b, {.pool = 3}), Error);
}

TEST_CASE("float32 and float64 are not mixed") {
  CHECK_THROWS_WITH_AS(
      conv2d(image({2, 8, 8, 3}), image({4, 3, 3, 3}).to(DType::f64), image({4}), {}),
      "conv2d: mixes float32 and float64", Error);
}

DEVICE_TEST_CASE("the other operations say it too") {
  const Tensor x = image({2, 8, 8, 3});
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, image({4, 4, 4, 2}), {}, {}),
                       "conv_transpose2d: x (2, 8, 8, 3) has 3 channels but w (4, 4, 4, 2) wants 4",
                       Error);
  CHECK_THROWS_AS(conv_transpose2d(image({1, 1, 1, 3}), image({3, 1, 1, 2}), {}, {.pad = 1}),
                  Error);
  CHECK_THROWS_WITH_AS(linear(image({2, 3}), image({5, 4}), {}),
                       "linear: x (2, 3) has 3 columns but w (5, 4) wants 4", Error);
  CHECK_THROWS_AS(linear(x, image({5, 4}), {}), Error);
  CHECK_THROWS_AS(max_pool2d(x, 9, 1), Error);
  CHECK_THROWS_AS(max_pool2d(x, 17, 1), Error);
  CHECK_THROWS_AS(avg_pool2d(x, 0, 1), Error);
  CHECK_THROWS_AS(upsample2d(x, 0), Error);
  CHECK_THROWS_WITH_AS(add(image({2}), image({3})), "add: the shapes (2) and (3) differ", Error);
  CHECK_THROWS_AS(mean(image({0})), Error);
  CHECK_THROWS_AS(mse_loss(image({2}), image({3})), Error);
  CHECK_THROWS_AS(relu(Tensor::zeros({2}, DType::u8)), Error);
}

DEVICE_TEST_CASE("a target that wants a gradient is an error, not a gradient lost") {
  Tensor x = image({2}), target = image({2});
  target.set_requires_grad(true);
  Tape tape;
  CHECK_THROWS_WITH_AS(mse_loss(x, target), "mse_loss: the target gets no gradient; detach() it",
                       Error);
}

DEVICE_TEST_CASE(
    "batch norm needs two values, keeps statistics, and in inference only x has a derivative") {
  BatchNormState state{Tensor::zeros({2}), Tensor::full({2}, 1)};
  Tensor gamma = Tensor::full({2}, 1);
  const Tensor beta = Tensor::zeros({2});
  const std::vector<float> values{1, 10, 3, 20};
  const Tensor x = Tensor::from({2, 2}, std::span<const float>(values));

  CHECK_THROWS_WITH_AS(batch_norm(x.rows(0, 1), gamma, beta, state, {}),
                       doctest::Contains("larger batch"), Error);
  batch_norm(x, gamma, beta, state, {});
  CHECK(state.batches == 1);
  // means 2 and 15; unbiased variances 2 and 50
  CHECK(state.running_mean.to_doubles()[0] == doctest::Approx(0.2));
  CHECK(state.running_var.to_doubles()[1] == doctest::Approx(0.9 + 0.1 * 50));

  gamma.set_requires_grad(true);
  Tape tape;
  const Tensor y = batch_norm(x, gamma, beta, state, {.training = false});
  CHECK(state.batches == 1);
  CHECK_THROWS_WITH_AS(tape.backward(sum(y)), doctest::Contains("call train()"), Error);
}

DEVICE_TEST_CASE("the fused convolution is the chain of its parts") {
  RandomTensors random(11, DType::f32);
  const Tensor x = random.normal({2, 5, 6, 3});
  const Tensor w = random.normal({4, 3, 3, 3});
  const Tensor b = random.normal({4});
  const auto fused =
      conv2d(x, w, b, {.pad = 1, .upsample = 2, .activation = Activation::leaky_relu, .pool = 2});
  const auto chain = max_pool2d(leaky_relu(conv2d(upsample2d(x, 2), w, b, {.pad = 1})), 2, 2);
  REQUIRE(fused.shape() == chain.shape());
  const std::vector<float> got = fused.to_floats(), want = chain.to_floats();
  for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-5));
}

DEVICE_TEST_CASE("convolutions of no images are refused") {
  const Tensor x = Tensor::zeros({0, 4, 4, 2}), w = Tensor::zeros({2, 3, 3, 2});
  CHECK_THROWS_AS(conv2d(x, w, {}, {.pad = 1}), Error);
  CHECK_THROWS_AS(conv_transpose2d(x, w, {}, {.pad = 1}), Error);
}

TEST_CASE("ssim_loss is 0 for equal images") {
  RandomTensors random(13, DType::f32);
  const Tensor x = random.uniform({2, 16, 12, 3}, 0, 1);
  CHECK(ssim_loss(x, x).item() == doctest::Approx(0).epsilon(1e-12));
  CHECK(ssim_loss(x, affine(x, -1, 1)).item() > 0.5);
}
