#include "models/experiments/example_step.h"

#include "layers/init.h"
#include "models/experiments/registry.h"
#include "models/networks/dcgan.h"
#include "models/training/dcgan_players.h"
#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tensor/ops.h"

namespace assay {
namespace {

/// What a backward pass through a network is for.
enum class Gradients : uint8_t {
  of_weights,  ///< and of every input but the network's
  of_input,    ///< alone, the network's included
};

void add_layers(const std::vector<LayerRow>& rows, Gradients gradients,
                std::vector<ExampleStep::Layer>& layers) {
  bool first = true;
  for (const LayerRow& row : rows) {
    if (row.flops == 0) continue;
    layers.push_back({row, gradients == Gradients::of_input || first ? 1 : 2});
    first = false;
  }
}

}  // namespace

ExampleStep reconstruction_step(const RunConfig& config) {
  ExampleStep step{.network = make_network(config), .objectives = {}, .layers = {}};
  Network& network = *step.network;
  init_parameters(network, init_from_name(config.init), config.seed);
  add_layers(network.table(config.batch), Gradients::of_weights, step.layers);
  const Tensor x = Tensor::full(network.input_shape(config.batch), 0.5);
  step.objectives.push_back(
      {[&network, x] { return mse_loss(network(x), x); },
       std::make_unique<Adam>(network.parameters(), AdamOptions{.learning_rate = config.lr})});
  return step;
}

/// A step of D, then one of G, which starts from G's pictures; D sees those of the step before.
ExampleStep gan_step(const RunConfig& config) {
  auto network = std::make_unique<Dcgan>(config.image_size, config.channels());
  Dcgan& gan = *network;
  init_parameters(gan, init_from_name(config.init), config.seed);
  const int64_t n = config.batch;
  const Tensor z = draw_latents(config.seed, 0, n), one = Tensor::full({n, 1}, 1),
               zero = Tensor::zeros({n, 1});
  const Tensor real = Tensor::full({n, gan.image_size(), gan.image_size(), gan.channels()}, 0.5);
  auto fake = std::make_shared<Tensor>(gan.generate(z));
  const AdamOptions options{.learning_rate = config.lr, .beta1 = 0.5};

  ExampleStep step{.network = std::move(network), .objectives = {}, .layers = {}};
  step.objectives.push_back({[=, &gan] {
                               gan.discriminator().set_requires_grad(true);
                               return add(bce_with_logits_loss(gan.discriminate(real), one),
                                          bce_with_logits_loss(gan.discriminate(*fake), zero));
                             },
                             std::make_unique<Adam>(gan.discriminator_parameters(), options)});
  step.objectives.push_back({[=, &gan] {
                               gan.discriminator().set_requires_grad(false);
                               const Tensor made = gan.generate(z);
                               *fake = made.detach();
                               return bce_with_logits_loss(gan.discriminate(made), one);
                             },
                             std::make_unique<Adam>(gan.generator_parameters(), options)});
  const Shape pictures = real.shape();
  const auto list = [&](const Module& module, const char* name, const Shape& input,
                        Gradients gradients) {
    std::vector<LayerRow> rows;
    module.describe(name, input, rows);
    add_layers(rows, gradients, step.layers);
  };
  list(gan.discriminator(), "D(x)", pictures, Gradients::of_weights);
  list(gan.discriminator(), "D(G(z))", pictures, Gradients::of_weights);
  list(gan.generator(), "G", z.shape(), Gradients::of_weights);
  list(gan.discriminator(), "D(G(z))", pictures, Gradients::of_input);
  return step;
}

ExampleStep classifier_step(const RunConfig& config) {
  ExampleStep step{.network = make_network(config), .objectives = {}, .layers = {}};
  Network& network = *step.network;
  init_parameters(network, init_from_name(config.init), config.seed);
  add_layers(network.table(config.batch), Gradients::of_weights, step.layers);
  const Tensor x = Tensor::full(network.input_shape(config.batch), 0.5);
  const Tensor labels = Tensor::full({config.batch, 1}, 0.5);
  step.objectives.push_back(
      {[&network, x, labels] { return bce_with_logits_loss(network(x), labels); },
       std::make_unique<Rmsprop>(network.parameters(),
                                 RmspropOptions{.learning_rate = config.lr})});
  return step;
}

}  // namespace assay
