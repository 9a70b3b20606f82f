#include "models/experiments/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/runtime/error.h"
#include "models/detectors/cnn_detector.h"
#include "models/detectors/kd_cae_detector.h"
#include "models/detectors/ni_cae_detector.h"
#include "models/experiments/cnn_run.h"
#include "models/experiments/detector_evaluation.h"
#include "models/experiments/gan_run.h"
#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tensor/ops.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

template <class D>
std::unique_ptr<Detector> make_detector(const RunConfig& config) {
  return std::make_unique<D>(config);
}

template <class D>
Json train_as(const RunConfig& config, const RunFolder& folder, Start start,
              const TrainingHooks& hooks) {
  D detector(config);
  return train_autoencoder(detector, folder, start, hooks);
}

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

ExampleStep autoencoder_step(const RunConfig& config) {
  ExampleStep step{.network = make_network(config.preset, config.image_size, config.channels()),
                   .objectives = {},
                   .layers = {}};
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
ExampleStep dcgan_step(const RunConfig& config) {
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

ExampleStep cnn_step(const RunConfig& config) {
  ExampleStep step{.network = make_network(config.preset, config.image_size, config.channels()),
                   .objectives = {},
                   .layers = {}};
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

const Model kModels[] = {
    {"cnn", train_cnn, evaluate_cnn, make_detector<CnnDetector>, cnn_step, cnn_summary},
    {"kd-cae", train_as<KdCaeDetector>, evaluate_detector, make_detector<KdCaeDetector>,
     autoencoder_step, summary_of},
    {"ni-cae", train_as<NiCaeDetector>, evaluate_detector, make_detector<NiCaeDetector>,
     autoencoder_step, summary_of},
    {"dcgan", train_dcgan_run, evaluate_dcgan_run, nullptr, dcgan_step, dcgan_summary},
};

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Model& model : kModels) names.push_back(model.name);
  return names;
}

const Model& find_model(const std::string& name) {
  for (const Model& model : kModels)
    if (name == model.name) return model;
  throw UsageError(
      fmt::format("unknown model '{}'; there are: {}", name, fmt::join(model_names(), ", ")));
}

}  // namespace assay
