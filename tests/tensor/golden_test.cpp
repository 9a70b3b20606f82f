// Operations and their gradients against PyTorch and scikit-image: the reference in float64, the
// float32 kernels on every device.
#include <doctest/doctest.h>

#include "tensor/ops.h"
#include "tensor/tape.h"
#include "tests/support/every_device.h"
#include "tests/support/golden_file.h"

using namespace assay;
using testing::difference;
using testing::GoldenFile;

namespace {

const GoldenFile& layers() {
  static const GoldenFile file("layers.safetensors");
  return file;
}

/// The element type of a run and its tolerances.
struct Numbers {
  DType type;
  double rounding;       ///< of sums of products, beside max(1, |want|)
  double loss_rounding;  ///< of a loss and its gradient, beside the largest |want|

  Tensor tensor(const std::string& name, const GoldenFile& file = layers()) const {
    return file.tensor(name, type);
  }
  Tensor leaf(const std::string& name, const GoldenFile& file = layers()) const {
    if (!file.has(name)) return {};
    return tensor(name, file).set_requires_grad(true);
  }
  Tensor zeros(int64_t n) const { return Tensor::zeros({n}, type); }
  Tensor ones(int64_t n) const { return Tensor::full({n}, 1, type); }
  /// Our slope is the float nearest to .2, which is 3e-9 off; batch norm divides by deviations of
  /// .5.
  double tolerance(Activation a) const {
    return a == Activation::leaky_relu ? std::max(rounding, 5e-8) : rounding;
  }
};

// At most n = 576 products of numbers below 1 add up, a sum of k of them being near sqrt(k)/3. An
// addition is off by up to 2^-53 of the partial sum in float64, to either side, so all of them by
// 2^-53 n / sqrt(54), which is 9e-15, as their deviation.
constexpr Numbers kFloat64{DType::f64, 1e-11, 1e-11};
// In float32 the deviation is 2^-24 n / sqrt(54) = 4.7e-6, of which six are allowed. A loss and its
// gradient are ten roundings of an element, and a sum of 120 of one sign in double.
constexpr Numbers kFloat32{DType::f32, 3e-5, 10 * 0x1p-24};

/// Runs f(numbers) in float64, and in float32 on every device.
template <class F>
void in_each_type(const F& f) {
  if (test::tested("cpu")) f(kFloat64);
  test::on_every_device([&] { f(kFloat32); });
}

/// f() records y; then y and the gradients of the leaves, for the file's dy, are the file's.
template <class F>
void check_case(const Numbers& in, const std::string& name, double bound,
                const std::vector<std::pair<const char*, Tensor>>& leaves, const F& f) {
  CAPTURE(name);
  Tape tape;
  const Tensor y = f();
  CHECK(difference(y, layers().tensor(name + ".y")) < bound);
  tape.backward(y, in.tensor(name + ".dy"));
  for (const auto& leaf_of_case : leaves) {
    const Tensor& t = leaf_of_case.second;
    if (!t.defined()) continue;
    const std::string gradient = name + ".d" + leaf_of_case.first;
    CAPTURE(gradient);
    CHECK(difference(t.grad(), layers().tensor(gradient)) < bound);
  }
}

/// A loss and its gradient, which is small where there are many elements.
template <class F>
void check_loss(const Numbers& in, const Tensor& x, double want, const Tensor& want_dx,
                const F& loss_of) {
  Tape tape;
  const Tensor loss = loss_of();
  CHECK(std::abs(loss.item() - want) < in.loss_rounding * std::max(1.0, std::abs(want)));
  tape.backward(loss);
  const std::vector<double> got = x.grad().to_doubles(), dx = want_dx.to_doubles();
  double largest = 0;
  for (const double v : dx) largest = std::max(largest, std::abs(v));
  REQUIRE(got.size() == dx.size());
  for (size_t i = 0; i < dx.size(); ++i)
    CHECK(std::abs(got[i] - dx[i]) < in.loss_rounding * largest);
}

}  // namespace

TEST_CASE("convolution is PyTorch's") {
  in_each_type([](const Numbers& in) {
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
      const Tensor x = in.leaf(name + ".x"), w = in.leaf(name + ".w");
      const Tensor b = in.leaf(name + ".b");
      check_case(in, name, in.tolerance(a), {{"x", x}, {"w", w}, {"b", b}},
                 [&] { return conv2d(x, w, b, options); });
    }
  });
}

TEST_CASE("transposed convolution is PyTorch's") {
  in_each_type([](const Numbers& in) {
    const auto cases = layers().cases("conv_transpose2d.", ".y");
    REQUIRE(cases.size() >= 4);
    for (const std::string& name : cases) {
      const auto o = layers().integers(name + ".options");
      const ConvTranspose2dOptions options{.stride = static_cast<int>(o[0]),
                                           .pad = static_cast<int>(o[1]),
                                           .activation = static_cast<Activation>(o[2])};
      const Tensor x = in.leaf(name + ".x"), w = in.leaf(name + ".w");
      const Tensor b = in.leaf(name + ".b");
      check_case(in, name, in.rounding, {{"x", x}, {"w", w}, {"b", b}},
                 [&] { return conv_transpose2d(x, w, b, options); });
    }
  });
}

TEST_CASE("batch norm is PyTorch's over two training steps and in inference") {
  in_each_type([](const Numbers& in) {
    const auto cases = layers().cases("batch_norm.", ".inference.y");
    REQUIRE(cases.size() == 3);
    for (const std::string& name : cases) {
      const auto a = static_cast<Activation>(layers().integers(name + ".step1.options")[0]);
      const int64_t C = layers().tensor(name + ".inference.x").dim(-1);
      BatchNormState state{in.zeros(C), in.ones(C)};
      for (const char* step : {".step1", ".step2"}) {
        const std::string at = name + step;
        const Tensor x = in.leaf(at + ".x"), gamma = in.leaf(at + ".gamma");
        const Tensor beta = in.leaf(at + ".beta");
        check_case(in, at, in.tolerance(a), {{"x", x}, {"gamma", gamma}, {"beta", beta}},
                   [&] { return batch_norm(x, gamma, beta, state, {.activation = a}); });
        CHECK(difference(state.running_mean, layers().tensor(at + ".running_mean")) < in.rounding);
        CHECK(difference(state.running_var, layers().tensor(at + ".running_var")) < in.rounding);
      }
      const Tensor y =
          batch_norm(in.tensor(name + ".inference.x"), in.tensor(name + ".step2.gamma"),
                     in.tensor(name + ".step2.beta"), state, {.training = false, .activation = a});
      CHECK(difference(y, layers().tensor(name + ".inference.y")) < in.tolerance(a));
    }
  });
}

TEST_CASE("pooling, upsampling, dense layers and activations are PyTorch's") {
  in_each_type([](const Numbers& in) {
    for (const std::string& name : layers().cases("max_pool2d.", ".y")) {
      const auto o = layers().integers(name + ".options");
      const Tensor x = in.leaf(name + ".x");
      check_case(in, name, in.rounding, {{"x", x}},
                 [&] { return max_pool2d(x, static_cast<int>(o[0]), static_cast<int>(o[1])); });
    }
    for (const std::string& name : layers().cases("avg_pool2d.", ".y")) {
      const auto o = layers().integers(name + ".options");
      const Tensor x = in.leaf(name + ".x");
      check_case(in, name, in.rounding, {{"x", x}},
                 [&] { return avg_pool2d(x, static_cast<int>(o[0]), static_cast<int>(o[1])); });
    }
    for (const std::string& name : layers().cases("upsample2d.", ".y")) {
      const auto o = layers().integers(name + ".options");
      const Tensor x = in.leaf(name + ".x");
      check_case(in, name, in.rounding, {{"x", x}},
                 [&] { return upsample2d(x, static_cast<int>(o[0])); });
    }
    for (const std::string& name : layers().cases("linear.", ".y")) {
      const auto o = layers().integers(name + ".options");
      const Tensor x = in.leaf(name + ".x"), w = in.leaf(name + ".w");
      const Tensor b = in.leaf(name + ".b");
      check_case(in, name, in.rounding, {{"x", x}, {"w", w}, {"b", b}},
                 [&] { return linear(x, w, b, static_cast<Activation>(o[0])); });
    }
    for (const std::string& name : layers().cases("activation.", ".y")) {
      const auto a = static_cast<Activation>(layers().integers(name + ".options")[0]);
      const Tensor x = in.leaf(name + ".x");
      check_case(in, name, in.tolerance(a), {{"x", x}}, [&] { return activation(x, a); });
    }
  });
}

TEST_CASE("losses are PyTorch's") {
  in_each_type([](const Numbers& in) {
    const auto check = [&](const std::string& name, const auto& loss_of) {
      CAPTURE(name);
      const Tensor x = in.leaf(name + ".x"), target = in.tensor(name + ".target");
      check_loss(in, x, layers().tensor(name + ".loss").item(), layers().tensor(name + ".dx"),
                 [&] { return loss_of(x, target); });
    };
    check("mse_loss.plain", [](const Tensor& x, const Tensor& t) { return mse_loss(x, t); });
    for (const std::string& name : layers().cases("bce_with_logits_loss.", ".loss"))
      check(name, [&](const Tensor& x, const Tensor& t) {
        return bce_with_logits_loss(x, t, layers().tensor(name + ".pos_weight").item());
      });
  });
}

TEST_CASE("the SSIM loss is 1 - scikit-image's mean, its gradient PyTorch's") {
  in_each_type([](const Numbers& in) {
    const GoldenFile golden("ssim.safetensors");
    const auto cases = golden.cases("", ".value");
    REQUIRE(!cases.empty());
    for (const std::string& name : cases) {
      CAPTURE(name);
      const std::vector<double> values = golden.tensor(name + ".value").to_doubles();
      double sum = 0;
      for (const double v : values) sum += v;
      const Tensor x = in.leaf(name + ".x", golden), y = in.tensor(name + ".y", golden);
      check_loss(in, x, 1 - sum / static_cast<double>(values.size()), golden.tensor(name + ".dx"),
                 [&] { return ssim_loss(x, y); });
    }
  });
}
