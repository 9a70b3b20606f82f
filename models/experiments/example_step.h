// A training step of a model on made-up images, for profiles.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/networks/network.h"
#include "models/run/config.h"
#include "optim/optimizer.h"

namespace assay {

/// One objective for each optimizer: a GAN has two.
struct ExampleStep {
  struct Objective {
    std::function<Tensor()> loss;
    std::unique_ptr<Optimizer> optimizer;
  };
  std::unique_ptr<Network> network;
  std::vector<Objective> objectives;
  /// A layer with weights, and the products of its size that its backward pass computes: one for
  /// the gradient of the weights, one for that of the input, where they are wanted.
  struct Layer {
    LayerRow row;
    int backward_products;
  };
  /// In the order in which the step runs them forward.
  std::vector<Layer> layers;
};

ExampleStep reconstruction_step(const RunConfig& config);
ExampleStep gan_step(const RunConfig& config);
ExampleStep classifier_step(const RunConfig& config);

}  // namespace assay
