// Operations and their gradients against PyTorch and scikit-image, in float64 (the kernel tests
// hold the float32 kernels to the same reference).
#include <doctest/doctest.h>

#include "tensor/ops.h"
#include "tensor/tape.h"
#include "tests/tensor/golden_file.h"

using namespace assay;
using testing::difference;
using testing::GoldenFile;

namespace {

// At most 256 products of numbers below 1 add up, each addition off by 2^-53 of the partial sum:
// 256 * 256 * 2^-53 = 7e-12.
constexpr double kRounding = 1e-11;
// Our slope is the float nearest to .2, which is 3e-9 off; batch norm divides by deviations of .5.
constexpr double kSlopeRounding = 5e-8;

double tolerance(Activation a) {
  return a == Activation::leaky_relu ? kSlopeRounding : kRounding;
}

const GoldenFile& layers() {
  static const GoldenFile file("layers.safetensors");
  return file;
}

Tensor leaf(const GoldenFile& golden, const std::string& name) {
  if (!golden.has(name)) return {};
  return golden.tensor(name).set_requires_grad(true);
}

/// f() records y; then y and the gradients of the leaves, for the file's dy, are the file's.
template <class F>
void check_case(const std::string& name, double bound,
                const std::vector<std::pair<const char*, Tensor>>& leaves, const F& f) {
  CAPTURE(name);
  Tape tape;
  const Tensor y = f();
  CHECK(difference(y, layers().tensor(name + ".y")) < bound);
  tape.backward(y, layers().tensor(name + ".dy"));
  for (const auto& leaf_of_case : leaves) {
    const Tensor& t = leaf_of_case.second;
    if (!t.defined()) continue;
    const std::string gradient = name + ".d" + leaf_of_case.first;
    CAPTURE(gradient);
    CHECK(difference(t.grad(), layers().tensor(gradient)) < bound);
  }
}

}  // namespace

TEST_CASE("convolution is PyTorch's") {
  const auto cases = layers().cases("conv2d.", ".y");
  REQUIRE(cases.size() >= 18);
  for (const std::string& name : cases) {
    const auto o = layers().integers(name + ".options");
    const auto a = static_cast<Activation>(o[3]);
    const Conv2dOptions options{.stride = static_cast<int>(o[0]),
                                .pad = static_cast<int>(o[1]),
                                .upsample = static_cast<int>(o[2]),
                                .activation = a,
                                .pool = static_cast<int>(o[4])};
    const Tensor x = leaf(layers(), name + ".x"), w = leaf(layers(), name + ".w");
    const Tensor b = leaf(layers(), name + ".b");
    check_case(name, tolerance(a), {{"x", x}, {"w", w}, {"b", b}},
               [&] { return conv2d(x, w, b, options); });
  }
}

TEST_CASE("transposed convolution is PyTorch's") {
  const auto cases = layers().cases("conv_transpose2d.", ".y");
  REQUIRE(cases.size() >= 4);
  for (const std::string& name : cases) {
    const auto o = layers().integers(name + ".options");
    const ConvTranspose2dOptions options{.stride = static_cast<int>(o[0]),
                                         .pad = static_cast<int>(o[1]),
                                         .activation = static_cast<Activation>(o[2])};
    const Tensor x = leaf(layers(), name + ".x"), w = leaf(layers(), name + ".w");
    const Tensor b = leaf(layers(), name + ".b");
    check_case(name, kRounding, {{"x", x}, {"w", w}, {"b", b}},
               [&] { return conv_transpose2d(x, w, b, options); });
  }
}

TEST_CASE("batch norm is PyTorch's over two training steps and in inference") {
  const auto cases = layers().cases("batch_norm.", ".inference.y");
  REQUIRE(cases.size() == 3);
  for (const std::string& name : cases) {
    const auto a = static_cast<Activation>(layers().integers(name + ".step1.options")[0]);
    const int64_t C = layers().tensor(name + ".inference.x").dim(-1);
    BatchNormState state{Tensor::zeros({C}, DType::f64), Tensor::full({C}, 1, DType::f64)};
    for (const char* step : {".step1", ".step2"}) {
      const std::string at = name + step;
      const Tensor x = leaf(layers(), at + ".x"), gamma = leaf(layers(), at + ".gamma");
      const Tensor beta = leaf(layers(), at + ".beta");
      check_case(at, tolerance(a), {{"x", x}, {"gamma", gamma}, {"beta", beta}},
                 [&] { return batch_norm(x, gamma, beta, state, {.activation = a}); });
      CHECK(difference(state.running_mean, layers().tensor(at + ".running_mean")) < kRounding);
      CHECK(difference(state.running_var, layers().tensor(at + ".running_var")) < kRounding);
    }
    const Tensor y = batch_norm(
        layers().tensor(name + ".inference.x"), layers().tensor(name + ".step2.gamma"),
        layers().tensor(name + ".step2.beta"), state, {.training = false, .activation = a});
    CHECK(difference(y, layers().tensor(name + ".inference.y")) < tolerance(a));
  }
}

TEST_CASE("pooling, upsampling, dense layers and activations are PyTorch's") {
  for (const std::string& name : layers().cases("max_pool2d.", ".y")) {
    const auto o = layers().integers(name + ".options");
    const Tensor x = leaf(layers(), name + ".x");
    check_case(name, kRounding, {{"x", x}},
               [&] { return max_pool2d(x, static_cast<int>(o[0]), static_cast<int>(o[1])); });
  }
  for (const std::string& name : layers().cases("avg_pool2d.", ".y")) {
    const auto o = layers().integers(name + ".options");
    const Tensor x = leaf(layers(), name + ".x");
    check_case(name, kRounding, {{"x", x}},
               [&] { return avg_pool2d(x, static_cast<int>(o[0]), static_cast<int>(o[1])); });
  }
  for (const std::string& name : layers().cases("upsample2d.", ".y")) {
    const auto o = layers().integers(name + ".options");
    const Tensor x = leaf(layers(), name + ".x");
    check_case(name, kRounding, {{"x", x}}, [&] { return upsample2d(x, static_cast<int>(o[0])); });
  }
  for (const std::string& name : layers().cases("linear.", ".y")) {
    const auto o = layers().integers(name + ".options");
    const Tensor x = leaf(layers(), name + ".x"), w = leaf(layers(), name + ".w");
    const Tensor b = leaf(layers(), name + ".b");
    check_case(name, kRounding, {{"x", x}, {"w", w}, {"b", b}},
               [&] { return linear(x, w, b, static_cast<Activation>(o[0])); });
  }
  for (const std::string& name : layers().cases("activation.", ".y")) {
    const auto a = static_cast<Activation>(layers().integers(name + ".options")[0]);
    const Tensor x = leaf(layers(), name + ".x");
    check_case(name, tolerance(a), {{"x", x}}, [&] { return activation(x, a); });
  }
}

TEST_CASE("losses are PyTorch's") {
  const auto check_loss = [](const std::string& name, const auto& loss_of) {
    CAPTURE(name);
    const Tensor x = leaf(layers(), name + ".x");
    Tape tape;
    const Tensor loss = loss_of(x, layers().tensor(name + ".target"));
    CHECK(difference(loss, layers().tensor(name + ".loss")) < kRounding);
    tape.backward(loss);
    CHECK(difference(x.grad(), layers().tensor(name + ".dx")) < kRounding);
  };
  check_loss("mse_loss.plain", [](const Tensor& x, const Tensor& t) { return mse_loss(x, t); });
  for (const std::string& name : layers().cases("bce_with_logits_loss.", ".loss"))
    check_loss(name, [&](const Tensor& x, const Tensor& t) {
      return bce_with_logits_loss(x, t, layers().tensor(name + ".pos_weight").item());
    });
}

TEST_CASE("the SSIM loss is 1 - scikit-image's mean, its gradient PyTorch's") {
  const GoldenFile golden("ssim.safetensors");
  const auto cases = golden.cases("", ".value");
  REQUIRE(!cases.empty());
  for (const std::string& name : cases) {
    CAPTURE(name);
    const Tensor x = leaf(golden, name + ".x");
    Tape tape;
    const Tensor loss = ssim_loss(x, golden.tensor(name + ".y"));
    CHECK(std::abs(loss.item() - (1 - mean(golden.tensor(name + ".value")).item())) < kRounding);
    tape.backward(loss);
    CHECK(difference(x.grad(), golden.tensor(name + ".dx")) < kRounding);
  }
}
