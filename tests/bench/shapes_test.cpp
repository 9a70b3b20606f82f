// Are the suites what their names say?
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "bench/layer_shapes.h"

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

TEST_CASE("a bare layer has the output of the upsampled one") {
  for (const Layer& layer : model_layers(2)) {
    const Conv2dShape s = bare(layer.shape);
    CHECK(s.upsample == 1);
    CHECK(s.P() == layer.shape.P());
    CHECK(conv2d_flops(s) == conv2d_flops(layer.shape));
  }
}

}  // namespace assay::bench
