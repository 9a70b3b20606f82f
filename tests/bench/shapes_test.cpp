// Are the suites what their names say?
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "bench/layer_shapes.h"
#include "models/networks/dcgan.h"

namespace assay::bench {

TEST_CASE("the suites have the published number of layers and of operations") {
  std::map<std::string, int> layers, convolutions;
  std::map<std::string, double> flops;  // per picture
  std::set<std::string> names;
  for (const Layer& layer : all_layers(1)) {
    CHECK(names.insert(layer.suite + "/" + layer.name).second);
    CHECK(layer.shape.P() > 0);
    CHECK(layer.shape.Q() > 0);
    ++layers[layer.suite];
    convolutions[layer.suite] += layer.count;
    flops[layer.suite] += layer.count * static_cast<double>(conv2d_flops(layer.shape));
  }
  CHECK(layers["deepbench"] == 90);  // 55 shapes with their batch sizes
  CHECK(convolutions["vgg16"] == 13);
  // 53 convolutions, of which 4 are the projections of the shortcuts.
  CHECK(convolutions["resnet50"] == 53);
  // Multiply-adds of the convolutions at 224x224: 15.35e9 (VGG-16), 4.09e9 (ResNet-50 v1.5).
  CHECK(flops["vgg16"] == doctest::Approx(2 * 15.35e9).epsilon(0.01));
  CHECK(flops["resnet50"] == doctest::Approx(2 * 4.09e9).epsilon(0.01));
}

TEST_CASE("the DCGANs' layers are those of the networks") {
  const auto check = [](int image_size, const std::string& prefix) {
    // The filters of a transposed convolution are those of the convolution that it turns round.
    std::multiset<Shape> wanted, listed;
    const Dcgan network(image_size, 3, 64);
    for (const Parameter& p : network.parameters())
      if (p.tensor.rank() == 4) wanted.insert(p.tensor.shape());
    std::vector<std::string> names;
    for (const Layer& layer : all_layers(1)) {
      const Conv2dShape& s = layer.shape;
      if (layer.name.rfind(prefix, 0) != 0) continue;
      listed.insert({s.K, s.R, s.S, s.C});
      names.push_back(layer.name.substr(prefix.size()));
    }
    CHECK(listed == wanted);
    return names;
  };
  CHECK(check(64, "dcgan.") ==
        std::vector<std::string>{"g1", "g2", "g3", "g4", "g5", "d1", "d2", "d3", "d4", "d5"});
  CHECK(check(128, "dcgan128.") == std::vector<std::string>{"g1", "g2", "g3", "g4", "g5", "g6",
                                                            "d1", "d2", "d3", "d4", "d5", "d6"});
}

TEST_CASE("a bare layer has the output of the upsampled one") {
  for (const Layer& layer : model_layers(2)) {
    const Conv2dShape s = bare(layer.shape);
    CHECK(s.upsample == 1);
    CHECK(s.P() == layer.shape.P());
    CHECK(conv2d_flops(s) == conv2d_flops(layer.shape));
  }
}

}  // namespace assay::bench
