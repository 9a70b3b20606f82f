#include "layers/init.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "layers/batchnorm.h"
#include "layers/conv.h"
#include "layers/sequential.h"
#include "tests/support/every_device.h"

using namespace assay;

namespace {

/// Filters of 3x3: fan-in 9 * 32 = 288, fan-out 9 * 64 = 576.
struct Net : Sequential {
  Net() {
    add<Conv2d>(Conv2dConfig{.C = 32, .K = 64, .op = {.activation = Activation::relu}});
    add<Conv2d>(Conv2dConfig{.C = 32, .K = 64, .op = {.activation = Activation::sigmoid}});
    add<BatchNorm>(BatchNormConfig{.C = 4096});
  }
  std::vector<float> values(size_t parameter) const {
    return parameters()[parameter].tensor.to_floats();
  }
};

struct Moments {
  double mean, deviation, low, high;
};
Moments moments(const std::vector<float>& v) {
  double sum = 0, squares = 0;
  for (const float f : v) sum += f, squares += static_cast<double>(f) * f;
  const double mean = sum / v.size();
  const auto [low, high] = std::minmax_element(v.begin(), v.end());
  return {mean, std::sqrt(squares / v.size() - mean * mean), *low, *high};
}

/// n = 18,432 numbers: the mean lies within 5 deviations of its own, and the extremes of that many
/// uniform numbers within 1/1000 of the limit (the chance to miss it is e^-9).
void check_uniform(const std::vector<float>& v, double limit) {
  const Moments m = moments(v);
  CHECK(std::abs(m.mean) < 5 * limit / std::sqrt(3.0 * v.size()));
  CHECK(m.high <= limit);
  CHECK(m.low >= -limit * (1 + 1e-6));
  CHECK(m.high > 0.999 * limit);
  CHECK(m.low < -0.999 * limit);
}

}  // namespace

DEVICE_TEST_CASE("he: He in front of a ReLU, Glorot elsewhere") {
  const Net net;
  init_parameters(net, Init::he, 1);
  check_uniform(net.values(0), std::sqrt(6.0 / 288));
  check_uniform(net.values(2), std::sqrt(6.0 / (288 + 576)));
  CHECK(net.values(1) == std::vector<float>(64, 0));
  CHECK(net.values(4) == std::vector<float>(4096, 1));
  CHECK(net.values(5) == std::vector<float>(4096, 0));
}

DEVICE_TEST_CASE("keras: Glorot everywhere") {
  const Net net;
  init_parameters(net, Init::keras, 1);
  check_uniform(net.values(0), std::sqrt(6.0 / (288 + 576)));
  check_uniform(net.values(2), std::sqrt(6.0 / (288 + 576)));
}

DEVICE_TEST_CASE("dcgan: narrow normals") {
  const Net net;
  init_parameters(net, Init::dcgan, 1);
  const Moments w = moments(net.values(0)), gamma = moments(net.values(4));
  CHECK(std::abs(w.mean) < 5 * 0.02 / std::sqrt(18432.0));
  CHECK(w.deviation == doctest::Approx(0.02).epsilon(0.03));
  CHECK(std::abs(gamma.mean - 1) < 5 * 0.02 / std::sqrt(4096.0));
  CHECK(gamma.deviation == doctest::Approx(0.02).epsilon(0.06));
  CHECK(net.values(5) == std::vector<float>(4096, 0));
}

DEVICE_TEST_CASE("weights are a function of seed and parameter") {
  const Net a, b;
  init_parameters(a, Init::keras, 1);
  init_parameters(b, Init::keras, 1);
  CHECK(a.values(0) == b.values(0));
  CHECK(a.values(0) != a.values(2));
  init_parameters(b, Init::keras, 2);
  CHECK(a.values(0) != b.values(0));
}

TEST_CASE("names of initialisations") {
  for (const Init init : {Init::he, Init::keras, Init::dcgan})
    CHECK(init_from_name(name_of(init)) == init);
  CHECK_THROWS_WITH_AS(init_from_name("xavier"),
                       "unknown initialisation 'xavier'; there are he, keras and dcgan",
                       UsageError);
}
