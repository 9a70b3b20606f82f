// The suites of layer shapes have the published numbers of layers and FLOPs.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "bench/model_layers.h"

namespace assay::bench {

TEST_CASE("the suites have the published number of layers and of operations") {
  std::map<std::string, int> layers, convolutions;
  std::map<std::string, double> flops;  // per image
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

TEST_CASE("the layers of the models have names that results can be compared by") {
  std::map<std::string, std::string> names;  // of a network's layers, by the network
  for (const Layer& layer : all_layers(1)) {
    const size_t dot = layer.name.find('.');
    if (layer.suite == "models" || layer.suite == "dcgan-128")
      names[layer.name.substr(0, dot)] +=
          layer.name.substr(dot + 1) + (layer.first ? "! " : " ");  // no gradient at its input
  }
  CHECK(names["cnn"] == "1! 2 3 4 5 ");
  CHECK(names["kdcae"] == "e1! e2 e3 d1 d2 d3 out ");
  CHECK(names["nicae"] == "e1! e2 e3 e4 e5 d1 d2 d3 d4 d5 out ");
  CHECK(names["dcgan"] == "g1! g2 g3 g4 g5 d1! d2 d3 d4 d5 ");
  CHECK(names["dcgan128"] == "g1! g2 g3 g4 g5 g6 d1! d2 d3 d4 d5 d6 ");
}

TEST_CASE("a transposed layer is the convolution that maps its output to its input") {
  for (const Layer& layer : model_layers(3)) {
    if (layer.name != "dcgan.g2") continue;
    CHECK(layer.transposed);
    // (3,4,4,512) -> (3,8,8,256)
    CHECK(layer.shape == Conv2dShape{3, 8, 8, 256, 512, 4, 4, 2, 1});
    CHECK(layer.shape.P() == 4);
  }
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
