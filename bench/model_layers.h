// The convolutions of our networks, from Network::table.
#pragma once

#include <fmt/core.h>

#include <algorithm>

#include "bench/layer_shapes.h"
#include "models/experiments/registry.h"

namespace assay::bench {

/// The convolutions of a preset at batch N, in the order of the forward pass. Names are `name` and
/// a letter for the part: e, d (encoder, decoder), g, d (generator, discriminator), none (CNN);
/// "kdcae.e2". The last layer of a decoder is "out".
inline std::vector<Layer> network_layers(const std::string& preset, const std::string& name,
                                         const std::string& suite, int N) {
  const auto network = make_network(preset);
  std::vector<Layer> layers;
  std::string part;  // "encoder", of the layer before
  int number = 0;    // of the layer in its part
  for (const LayerRow& row : network->table(N)) {
    if (!row.conv) continue;
    const std::string here = row.name.substr(0, row.name.find('.'));
    number = here == part ? number + 1 : 1;
    // The input of a network or of a discriminator needs no gradient.
    const bool first = layers.empty() || (number == 1 && here == "discriminator");
    part = here;
    const std::string letter = part == "features" ? "" : part.substr(0, 1);
    layers.push_back({fmt::format("{}.{}{}", name, letter, number), row.conv->shape,
                      row.conv->epilogue, row.conv->transposed, first, suite});
  }
  if (part == "decoder") layers.back().name = name + ".out";
  return layers;
}

/// Layers of the four models at batch N.
inline std::vector<Layer> model_layers(int N) {
  std::vector<Layer> all;
  for (const auto& [preset, name] :
       {std::pair("cnn", "cnn"), {"kd-cae", "kdcae"}, {"ni-cae", "nicae"}, {"dcgan", "dcgan"}})
    std::ranges::move(network_layers(preset, name, "models", N), std::back_inserter(all));
  return all;
}

/// Layers of the four models, of the DCGAN for 128 pixels and of the public suites.
inline std::vector<Layer> all_layers(int N) {
  std::vector<Layer> all = model_layers(N);
  for (auto&& layers : {network_layers("dcgan-128", "dcgan128", "dcgan-128", N), imagenet_layers(N),
                        deepbench_layers()})
    all.insert(all.end(), layers.begin(), layers.end());
  return all;
}

}  // namespace assay::bench
