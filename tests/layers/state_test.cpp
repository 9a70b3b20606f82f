#include "layers/state.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <numeric>

#include "layers/batchnorm.h"
#include "layers/conv.h"
#include "layers/init.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tensor/permute.h"
#include "tests/support/every_device.h"

using namespace assay;

namespace {

struct Net : Sequential {
  explicit Net(uint64_t seed) {
    add<Conv2d>(Conv2dConfig{.C = 3, .K = 4, .filter = 2});
    add<ConvTranspose2d>(ConvTranspose2dConfig{.C_in = 4, .C_out = 5, .filter = 2});
    add<BatchNorm>(BatchNormConfig{.C = 5});
    init_parameters(*this, Init::dcgan, seed);
  }
};

float at(const StoredTensor& t, std::initializer_list<int64_t> index) {
  int64_t flat = 0;
  size_t d = 0;
  for (const int64_t i : index) flat = flat * t.shape[d++] + i;
  return t.tensor().to_floats()[flat];
}

void fill_counting(const Tensor& t) {
  std::vector<float> values(t.size());
  std::iota(values.begin(), values.end(), 0.0f);
  t.copy_from(Tensor::from(t.shape(), std::span<const float>(values)));
}

}  // namespace

DEVICE_TEST_CASE("filters are stored as (K,C,R,S)") {
  const Conv2d layer({.C = 3, .K = 4, .filter = 2});
  fill_counting(layer.parameters()[0].tensor);  // (K,R,S,C)
  const StateDict state = save_state(layer);
  const StoredTensor& w = state.at("weight");
  CHECK(w.shape == Shape{4, 3, 2, 2});
  CHECK(at(w, {2, 1, 0, 1}) == ((2 * 2 + 0) * 2 + 1) * 3 + 1);
  CHECK(state.at("bias").shape == Shape{4});
}

DEVICE_TEST_CASE("a dense layer behind a flattened image has its columns in NCHW order") {
  const Linear layer({.in = 2 * 3 * 4, .out = 5, .input_image = ImageLayout{2, 3, 4}});
  fill_counting(layer.parameters()[0].tensor);
  const StoredTensor w = save_state(layer).at("weight");
  CHECK(w.shape == Shape{5, 24});
  const int h = 1, width = 2, c = 3;
  CHECK(at(w, {4, (c * 2 + h) * 3 + width}) == 4 * 24 + (h * 3 + width) * 4 + c);
}

DEVICE_TEST_CASE("a dense layer in front of an image has its rows and bias in NCHW order") {
  const Linear layer({.in = 5, .out = 2 * 3 * 4, .output_image = ImageLayout{2, 3, 4}});
  for (const Parameter& p : layer.parameters()) fill_counting(p.tensor);
  const StateDict state = save_state(layer);
  const int h = 1, width = 2, c = 3, ours = (h * 3 + width) * 4 + c;
  CHECK(at(state.at("weight"), {(c * 2 + h) * 3 + width, 2}) == ours * 5 + 2);
  CHECK(at(state.at("bias"), {(c * 2 + h) * 3 + width}) == ours);
  CHECK_THROWS_AS(Linear({.in = 4,
                          .out = 4,
                          .input_image = ImageLayout{1, 1, 4},
                          .output_image = ImageLayout{1, 1, 4}}),
                  Error);
}

DEVICE_TEST_CASE("what is saved is loaded, bit for bit, counts included") {
  Net a(1), b(2);
  a(Tensor::full({2, 4, 4, 3}, 0.5));  // moves the running statistics
  load_state(b, save_state(a), "test");
  const auto pa = a.parameters(), pb = b.parameters();
  for (size_t i = 0; i < pa.size(); ++i)
    CHECK(pa[i].tensor.to_floats() == pb[i].tensor.to_floats());
  const auto ba = a.buffers(), bb = b.buffers();
  CHECK(ba[0].tensor.to_floats() == bb[0].tensor.to_floats());
  CHECK(ba[1].tensor.to_floats() == bb[1].tensor.to_floats());
  CHECK(*bb[2].count == 1);

  {
    const LinearConfig config{.in = 3, .out = 8, .output_image = ImageLayout{2, 2, 2}};
    const Linear c(config), d(config);
    init_parameters(c, Init::he, 5);
    load_state(d, save_state(c), "test");
    CHECK(d.parameters()[0].tensor.to_floats() == c.parameters()[0].tensor.to_floats());
  }
}

DEVICE_TEST_CASE("loading changes the version, so that no packed copy of old weights is used") {
  const Net a(1), b(2);
  const uint64_t before = b.parameters()[0].tensor.version();
  load_state(b, save_state(a), "test");
  CHECK(b.parameters()[0].tensor.version() != before);
}

DEVICE_TEST_CASE("a state that does not fit is refused whole") {
  const Net net(1);
  const std::vector<float> before = net.parameters()[0].tensor.to_floats();
  const StateDict good = save_state(Net(2));

  StateDict missing = good;
  missing.erase("2.running_mean");
  missing["decoder.0.weight"] = good.at("0.weight");
  CHECK_THROWS_WITH_AS(load_state(net, missing, "model.safetensors"),
                       "model.safetensors: these are weights of another model; missing: "
                       "2.running_mean; unexpected: decoder.0.weight",
                       CheckpointError);

  StateDict wrong = good;
  wrong["1.weight"] = StoredTensor::of(Tensor::zeros({4, 5, 3, 3}));
  CHECK_THROWS_WITH_AS(load_state(net, wrong, "m"),
                       "m: 1.weight is F32 (4, 5, 3, 3) but the model has F32 (4, 5, 2, 2)",
                       CheckpointError);

  wrong = good;
  wrong["2.num_batches_tracked"] = StoredTensor::of(Tensor::zeros({}));
  CHECK_THROWS_AS(load_state(net, wrong, "m"), CheckpointError);
  CHECK(net.parameters()[0].tensor.to_floats() == before);
}

DEVICE_TEST_CASE("weights that are not finite are refused by name") {
  const Net net(1);
  StateDict state = save_state(net);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(state.at("1.bias").bytes.data(), &nan, sizeof nan);
  try {
    load_state(net, state, "file");
    FAIL("no error");
  } catch (const CheckpointError& e) {
    CHECK(std::string(e.what()).find("file: 1.bias holds nan") == 0);
  }
}
