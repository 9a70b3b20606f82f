// The networks against PyTorch: outputs of the presets in networks.safetensors, one training step
// of each model of the study. Weights come through load_state, so PyTorch's names and layouts are
// tested too.
//
// PyTorch's own float32 differs from these float64 numbers by up to 8e-7 in the outputs, 1.4e-6 of
// the norm in the gradients, 1e-6 (relative) in the losses and 2e-7 in the weights after a step. No
// ReLU or max-pool is so near a tie that rounding decides it. Ours adds up in another order, so it
// is allowed a few times as much.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/state.h"
#include "models/experiments/registry.h"
#include "models/networks/dcgan.h"
#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tensor/ops.h"
#include "tensor/tape.h"
#include "tests/support/every_device.h"
#include "tests/support/formula.h"
#include "tests/support/golden_file.h"

using namespace assay;
using testing::difference;
using testing::GoldenFile;

namespace {

constexpr double kOutput = 4e-6, kGradient = 6e-6, kLoss = 4e-6, kWeight = 1e-6;

const GoldenFile& golden() {
  static const GoldenFile file("networks.safetensors");
  return file;
}

struct Case {
  std::string preset;
  int64_t n, size, channels;
};

Case find_case(const std::string& preset) {
  const auto input = golden().integers(preset + ".input");
  return {preset, input[0], input[1], input[2]};
}

std::unique_ptr<Network> with_formula_weights(const Case& c) {
  auto net = make_network(c.preset, static_cast<int>(c.size), static_cast<int>(c.channels));
  load_state(*net, testing::formula_state(save_state(*net)), "the formula");
  return net;
}

/// The elements of `t` at the file's positions for this parameter.
std::vector<double> sample(const Case& c, const std::string& parameter, const Tensor& t) {
  const std::vector<double> all = t.to_doubles();
  std::vector<double> some;
  for (const int64_t i : golden().integers(c.preset + ".at." + parameter))
    some.push_back(all.at(i));
  return some;
}

void check_sample(const std::string& golden_name, const std::vector<double>& got, double bound) {
  const std::vector<double> want = golden().tensor(golden_name).to_doubles();
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) CHECK(std::abs(got[i] - want[i]) < bound);
}

void check_gradients(const Case& c, const std::vector<Parameter>& parameters) {
  for (const Parameter& p : parameters) {
    CAPTURE(p.name);
    const Tensor g = to_torch(p, p.tensor.grad());
    const double norm = golden().tensor(c.preset + ".gradient_norm." + p.name).item();
    double squares = 0;
    for (const double v : g.to_doubles()) squares += v * v;
    CHECK(std::abs(std::sqrt(squares) - norm) < kGradient * norm);
    check_sample(c.preset + ".gradient." + p.name, sample(c, p.name, g), kGradient * norm);
  }
}

/// Bound on the difference of a first update at a weight whose gradient is g, if g may differ by
/// `error`. An update is rate * u(g). For u = g / (|g| + eps) the slope eps / (|g| + eps)^2 is at
/// most 1 / (4 |g|) for any eps. For RMSprop's u, with v = 0.1 g^2 under the root, it is at most
/// 0.8 / |g| or, with eps under the root, 1.22 / |g|. So the rounding of small gradients shows. |u|
/// is at most sqrt(10).
double update_error(double g, double error) {
  constexpr double kRate = 1e-3, kSlope = 1.22, kMaxUpdate = 3.17;
  return kWeight + kRate * std::min(kSlope * error / std::abs(g), 2 * kMaxUpdate);
}

/// Takes the step with epsilon in torch's place and checks it, then in Keras' place from the same
/// weights and gradients, which stays.
template <class Make>
void check_updates(const Case& c, const std::vector<Parameter>& parameters, const Make& make) {
  std::vector<Tensor> before;
  for (const Parameter& p : parameters) before.push_back(p.tensor.clone());
  for (const EpsPlacement placement : {EpsPlacement::torch, EpsPlacement::keras}) {
    for (size_t i = 0; i < before.size(); ++i) parameters[i].tensor.copy_from(before[i]);
    make(placement)->step();
    const char* key = placement == EpsPlacement::torch ? ".torch." : ".keras.";
    for (const Parameter& p : parameters) {
      CAPTURE(p.name);
      CAPTURE(key);
      const std::vector<double> got = sample(c, p.name, to_torch(p, p.tensor)),
                                g = sample(c, p.name, to_torch(p, p.tensor.grad())),
                                want = golden().tensor(c.preset + key + p.name).to_doubles();
      const double norm = golden().tensor(c.preset + ".gradient_norm." + p.name).item();
      REQUIRE(got.size() == want.size());
      for (size_t i = 0; i < got.size(); ++i)
        CHECK(std::abs(got[i] - want[i]) < update_error(g[i], kGradient * norm));
    }
  }
}

void check_step(const std::string& preset) {
  CAPTURE(preset);
  const Case c = find_case(preset);
  const auto net = with_formula_weights(c);
  const Tensor x = testing::formula_images(c.n, c.size, c.channels);
  const bool cnn = preset == "cnn";

  Tape tape;
  std::vector<float> labels(c.n);
  for (int64_t i = 0; i < c.n; ++i) labels[i] = static_cast<float>(i % 2);
  const Tensor y = net->forward(x);
  const Tensor loss =
      cnn ? bce_with_logits_loss(y, Tensor::from({c.n, 1}, std::span<const float>(labels)))
          : mse_loss(y, x);
  CHECK(difference(loss, golden().tensor(preset + ".loss")) < kLoss);
  tape.backward(loss);
  check_gradients(c, net->parameters());
  check_updates(c, net->parameters(), [&](EpsPlacement placement) -> std::unique_ptr<Optimizer> {
    if (cnn)
      return std::make_unique<Rmsprop>(net->parameters(), RmspropOptions{.placement = placement});
    return std::make_unique<Adam>(net->parameters(), AdamOptions{.placement = placement});
  });
}

}  // namespace

DEVICE_TEST_CASE("the presets of the golden file compute PyTorch's outputs from its weights") {
  const std::vector<std::string> held = golden().cases("", ".input");
  REQUIRE(!held.empty());
  for (const std::string& name : preset_names())
    if (find_preset(name).make && std::find(held.begin(), held.end(), name) == held.end())
      MESSAGE("preset ", name, " has no golden output; add it to tests/golden/make_networks.py");
  for (const std::string& name : held) {
    CAPTURE(name);
    const Case c = find_case(name);
    const auto net = with_formula_weights(c);
    net->eval();
    if (auto* gan = dynamic_cast<Dcgan*>(net.get())) {
      const Tensor z = testing::formula_latents(c.n, Dcgan::kLatent);
      CHECK(difference(gan->generate(z), golden().tensor(name + ".y")) < kOutput);
      const Tensor real = testing::formula_signed_images(c.n, c.size, c.channels);
      CHECK(difference(gan->discriminate(real), golden().tensor(name + ".d")) < kOutput);
    } else {
      const Tensor x = testing::formula_images(c.n, c.size, c.channels);
      CHECK(difference(net->forward(x), golden().tensor(name + ".y")) < kOutput);
    }
  }
}

DEVICE_TEST_CASE("a training step of the CNN") {
  check_step("cnn");
}
DEVICE_TEST_CASE("a training step of the KD-CAE") {
  check_step("kd-cae");
}
DEVICE_TEST_CASE("a training step of the strided KD-CAE") {
  check_step("kd-cae-strided");
}
DEVICE_TEST_CASE("a training step of the NI-CAE") {
  check_step("ni-cae");
}

// In the order of the direct kernels: one of discriminator.9's 32,768 activations of these images
// is 1.9e-6, closer to the kink of leaky ReLU than the rounding of any fast algorithm, and on the
// other side of it the gradients differ by 3e-4 of their norm.
DEVICE_TEST_CASE("a training step of the DCGAN: discriminator, then generator") {
  Context strict = current_context();
  strict.precision = Precision::fp32_strict;
  const ContextScope scope(strict);
  const Case c = find_case("dcgan");
  const auto net = with_formula_weights(c);
  Dcgan& gan = dynamic_cast<Dcgan&>(*net);
  const Tensor real = testing::formula_signed_images(c.n, c.size, c.channels);
  const Tensor one = Tensor::full({c.n, 1}, 1), zero = Tensor::zeros({c.n, 1});
  const auto adam = [](const std::vector<Parameter>& parameters) {
    return [parameters](EpsPlacement placement) {
      return std::make_unique<Adam>(
          parameters, AdamOptions{.learning_rate = 2e-4, .beta1 = 0.5, .placement = placement});
    };
  };

  Tape generator_tape;
  const Tensor fake = gan.generate(testing::formula_latents(c.n, Dcgan::kLatent));
  {
    Tape tape;
    const Tensor on_real = bce_with_logits_loss(gan.discriminate(real), one);
    const Tensor on_fake = bce_with_logits_loss(gan.discriminate(fake.detach()), zero);
    const Tensor loss = add(on_real, on_fake);
    CHECK(difference(loss, golden().tensor("dcgan.loss_d")) < kLoss);
    tape.backward(loss);
  }
  check_gradients(c, gan.discriminator_parameters());
  check_updates(c, gan.discriminator_parameters(), adam(gan.discriminator_parameters()));

  gan.discriminator().set_requires_grad(false);  // the generator's step needs none of its gradients
  const Tensor loss = bce_with_logits_loss(gan.discriminate(fake), one);
  CHECK(difference(loss, golden().tensor("dcgan.loss_g")) < kLoss);
  generator_tape.backward(loss);
  check_gradients(c, gan.generator_parameters());
  check_updates(c, gan.generator_parameters(), adam(gan.generator_parameters()));

  for (const Buffer& b : gan.buffers()) {
    CAPTURE(b.name);
    const std::string name = "dcgan.running." + b.name;
    if (b.count != nullptr)
      CHECK(*b.count == golden().integers(name)[0]);
    else
      CHECK(difference(b.tensor, golden().tensor(name)) < kOutput);
  }
}
