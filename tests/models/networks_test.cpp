#include "models/networks/network.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "layers/state.h"
#include "models/experiments/registry.h"
#include "models/networks/cnn.h"
#include "models/networks/dcgan.h"
#include "models/networks/kd_cae.h"
#include "models/networks/ni_cae.h"
#include "tensor/ops.h"
#include "tensor/permute.h"
#include "tests/support/gradcheck_cases.h"

using namespace assay;

namespace {

Tensor image_batch(const Network& net, int64_t n) {
  assay::testing::RandomTensors random(17);
  return random.uniform(net.input_shape(n), 0, 1).to(DType::f32);
}

int64_t flops(const Network& net) {
  int64_t total = 0;
  for (const LayerRow& row : net.table(1)) total += row.flops;
  return total;
}

std::set<std::string> weight_names(const Network& net) {
  std::set<std::string> names;
  for (const Parameter& p : net.parameters())
    if (p.name.ends_with(".weight")) names.insert(p.name.substr(0, p.name.size() - 7));
  return names;
}

/// One training step's forward pass, as each model's training records it.
std::set<std::string> recorded_operations(Network& net) {
  Tape tape;
  const Tensor y = net(image_batch(net, 2));
  if (auto* gan = dynamic_cast<Dcgan*>(&net)) {
    bce_with_logits_loss(gan->discriminate(y), Tensor::full({2, 1}, 1));
  } else if (dynamic_cast<Cnn*>(&net) != nullptr) {
    bce_with_logits_loss(y, Tensor::full({2, 1}, 1));
  } else {
    mse_loss(y, Tensor::zeros(y.shape()));
    ssim_loss(y, Tensor::zeros(y.shape()));
  }
  std::set<std::string> ops;
  for (const std::string_view op : tape.ops()) ops.emplace(op);
  return ops;
}

}  // namespace

TEST_CASE("the networks have exactly the parameters of the study's description") {
  const auto count = [](const char* preset, int channels = 0) {
    return make_network(preset, 0, channels)->parameter_count();
  };
  CHECK(count("cnn") == 305665);
  CHECK(count("kd-cae") == 333955);
  CHECK(count("kd-cae-strided") == 333955);
  CHECK(count("kd-cae", 1) == 333955 - 2 * 9 * 32 - 2 * 9 * 32 - 2);
  CHECK(count("ni-cae") == 433545);
  Dcgan tiny(32, 3), small(64, 3), large(128, 3);
  CHECK(tiny.generator().parameter_count() == 1068928);
  CHECK(tiny.discriminator().parameter_count() == 663296);
  CHECK(small.generator().parameter_count() == 3576704);
  CHECK(small.discriminator().parameter_count() == 2765568);
  CHECK(large.generator().parameter_count() == 12786560);
  CHECK(large.discriminator().parameter_count() == 11164416);
}

TEST_CASE("and its work: GFLOP of a forward pass of one image") {
  CHECK(flops(*make_network("cnn")) / 1e9 == doctest::Approx(0.096).epsilon(0.01));
  CHECK(flops(*make_network("kd-cae")) / 1e9 == doctest::Approx(0.679).epsilon(0.001));
  CHECK(flops(*make_network("ni-cae")) / 1e9 == doctest::Approx(5.16).epsilon(0.001));
}

TEST_CASE("layers have PyTorch's names") {
  using Names = std::set<std::string>;
  CHECK(weight_names(*make_network("cnn")) == Names{"features.0", "features.3", "features.6",
                                                    "features.9", "features.12", "classifier.0",
                                                    "classifier.2"});
  for (const char* preset : {"kd-cae", "kd-cae-strided"})
    CHECK(weight_names(*make_network(preset)) == Names{"encoder.0", "encoder.3", "encoder.6",
                                                       "decoder.0", "decoder.3", "decoder.6",
                                                       "decoder.9"});
  CHECK(weight_names(*make_network("ni-cae")) ==
        Names{"encoder.0", "encoder.3", "encoder.6", "encoder.9", "encoder.12", "fc1", "fc2",
              "decoder.0", "decoder.3", "decoder.6", "decoder.9", "decoder.12", "decoder.15"});
  // Generator: (conv, batch norm, ReLU) x 4, conv, tanh. Discriminator: conv, LeakyReLU, (conv,
  // batch norm, LeakyReLU) x 3, conv.
  CHECK(weight_names(*make_network("dcgan")) ==
        Names{"generator.0", "generator.1", "generator.3", "generator.4", "generator.6",
              "generator.7", "generator.9", "generator.10", "generator.12", "discriminator.0",
              "discriminator.2", "discriminator.3", "discriminator.5", "discriminator.6",
              "discriminator.8", "discriminator.9", "discriminator.11"});
}

TEST_CASE("what a network says of itself is what it does") {
  for (const std::string& name : preset_names()) {
    CAPTURE(name);
    const Preset& preset = find_preset(name);
    if (!preset.make) continue;
    // Small images where the network allows them, so that the test stays quick.
    const std::string model = model_of_preset(name).name;
    const int size = model == "dcgan" ? preset.image_size : model == "cnn" ? 96 : 64;
    const auto net = make_network(preset.name, size);
    init_parameters(*net, preset.init, 1);
    const Tensor y = net->forward(image_batch(*net, 2));
    std::vector<LayerRow> rows;
    CHECK(net->describe("", net->input_shape(2), rows) == y.shape());
    int64_t parameters = 0;
    for (const LayerRow& row : rows) {
      parameters += row.parameters;
      CHECK(row.flops > 0);
      CHECK(row.min_bytes >= 4 * row.parameters);
    }
    CHECK(parameters == net->parameter_count());
    if (model == "kd-cae" || model == "ni-cae") CHECK(y.shape() == net->input_shape(2));
    for (const float v : y.to_floats()) REQUIRE(std::isfinite(v));
  }
}

TEST_CASE("every operation that a model records has a gradient check") {
  std::set<std::string> checked;
  for (const auto& c : assay::testing::gradcheck_cases()) checked.insert(c.op);
  for (const std::string& preset : preset_names()) {
    if (preset == "dcgan-128") continue;  // the operations of dcgan
    if (!find_preset(preset).make) continue;
    CAPTURE(preset);
    const std::string model = model_of_preset(preset).name;
    const auto net = make_network(preset, model == "dcgan" ? 64 : model == "cnn" ? 96 : 32);
    const std::set<std::string> ops = recorded_operations(*net);
    CHECK(ops.size() >= 2);
    for (const std::string& op : ops) {
      CAPTURE(op);
      CHECK(checked.contains(op));
    }
  }
}

TEST_CASE("latents are the code in NCHW order") {
  KdCae net(KdCae::Variant::pooled, 32, 3);
  init_parameters(net, Init::he, 1);
  const Tensor x = image_batch(net, 2), z = net.encode(x), flat = net.latents(x);
  CHECK(z.shape() == Shape{2, 2, 2, 128});
  REQUIRE(flat.shape() == Shape{2, 512});
  const std::vector<float> a = z.to_floats(), b = flat.to_floats();
  CHECK(b[512 + (7 * 2 + 1) * 2 + 0] == a[512 + (1 * 2 + 0) * 128 + 7]);
  CHECK(KdCae(KdCae::Variant::pooled, 128, 3).latents(Tensor::zeros({1, 128, 128, 3})).shape() ==
        Shape{1, 8192});
}

TEST_CASE("sizes and names that there are not") {
  const std::string message =
      fmt::format("unknown preset 'resnet'; there are {}", fmt::join(preset_names(), ", "));
  CHECK_THROWS_WITH_AS(make_network("resnet"), message.c_str(), UsageError);
  CHECK_THROWS_WITH_AS(make_network("kd-cae", 100),
                       "kd-cae: the image size 100 must be a multiple of 16 and at least 16",
                       UsageError);
  CHECK_THROWS_AS(make_network("ni-cae", 48), UsageError);
  CHECK_THROWS_AS(make_network("cnn", 31), UsageError);
  CHECK_NOTHROW(make_network("cnn", 32));
  CHECK_THROWS_AS(make_network("cnn-codelab", 93), UsageError);
  CHECK_NOTHROW(make_network("cnn-codelab", 94));
  CHECK_THROWS_AS(make_network("dcgan", 96), UsageError);
  CHECK_THROWS_AS(make_network("kd-cae", -16), UsageError);
  CHECK_THROWS_AS(make_network("kd-cae", 0, 2), UsageError);
}

TEST_CASE("same seed, same network; its file holds the whole of it") {
  const auto a = make_network("ni-cae", 32), b = make_network("ni-cae", 32);
  init_parameters(*a, Init::he, 3);
  init_parameters(*b, Init::he, 4);
  const Tensor x = image_batch(*a, 1);
  CHECK(a->forward(x).to_floats() != b->forward(x).to_floats());
  load_state(*b, save_state(*a), "test");
  CHECK(a->forward(x).to_floats() == b->forward(x).to_floats());
  CHECK_THROWS_AS(load_state(*b, save_state(*make_network("kd-cae", 32)), "test"), CheckpointError);
}
