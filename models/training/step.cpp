#include "models/training/step.h"

#include <fmt/core.h>

#include <cmath>

#include "kernels/random/random.h"
#include "layers/state.h"
#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace assay {
namespace {

constexpr const char* kModelPrefix = "model.";

EpsPlacement placement_of(const RunConfig& config) {
  return config.eps_placement == "torch" ? EpsPlacement::torch : EpsPlacement::keras;
}

void add_with_prefix(StateDict& to, const std::string& prefix, StateDict from) {
  for (auto& [name, tensor] : from) to.emplace(prefix + name, std::move(tensor));
}

StateDict without_prefix(const StateDict& from, const std::string& prefix) {
  StateDict found;
  for (const auto& [name, tensor] : from)
    if (name.starts_with(prefix)) found.emplace(name.substr(prefix.size()), tensor);
  return found;
}

/// Appends the layers with weights of `module`. If they are trained, the first one needs no input
/// gradient; if they are constants, only input gradients are computed.
void add_layers(const Module& module, const Shape& input, bool trained,
                std::vector<StepLayer>& layers) {
  std::vector<LayerRow> rows;
  module.describe("", input, rows);
  bool first = true;
  for (const LayerRow& row : rows) {
    if (row.flops == 0) continue;
    layers.push_back({row, trained, !trained || !first});
    first = false;
  }
}

double mean_probability(std::span<const float> logits) {
  double sum = 0;
  for (const double v : logits) sum += 1 / (1 + std::exp(-v));
  return sum / static_cast<double>(logits.size());
}

}  // namespace

std::string TrainingStep::note(std::span<const double>) const {
  return {};
}

int64_t TrainingStep::steps() {
  const StepOptimizer last = optimizers().back();
  return last.optimizer->steps() / last.updates;
}

StateDict TrainingStep::save() {
  StateDict state;
  add_with_prefix(state, kModelPrefix, save_state(module()));
  for (const StepOptimizer& use : optimizers())
    add_with_prefix(state, use.prefix, use.optimizer->save());
  return state;
}

void TrainingStep::load(const StateDict& state, const std::string& source) {
  load_state(module(), without_prefix(state, kModelPrefix), source);
  for (const StepOptimizer& use : optimizers())
    use.optimizer->load(without_prefix(state, use.prefix), source);
}

void NetworkStep::run(const std::vector<Tensor>& inputs, const StepCallbacks& callbacks) {
  network_.train();
  Tape tape;
  const Tensor value = loss(inputs);
  callbacks.on_loss(
      {.index = 0, .loss = value, .logits = {}, .run_forward = [&] { loss(inputs); }});
  tape.backward(value);
  callbacks.update(*optimizer_);
  optimizer_->zero_grad();
}

std::vector<double> NetworkStep::metrics(std::span<const LossValue> terms) const {
  return {terms[0].loss};
}

std::vector<StepLayer> NetworkStep::layers(const std::vector<Tensor>& inputs) const {
  std::vector<StepLayer> layers;
  add_layers(network_, inputs[0].shape(), true, layers);
  return layers;
}

ReconstructionStep::ReconstructionStep(Module& network, const RunConfig& config)
    : NetworkStep(network, std::make_unique<Adam>(network.parameters(),
                                                  AdamOptions{.learning_rate = config.lr,
                                                              .placement = placement_of(config)})),
      denoise_(config.denoise) {}

std::vector<Tensor> ReconstructionStep::inputs(std::span<const Batch> batches) {
  const Batch& batch = batches[0];
  if (denoise_) return {batch.x, batch.clean};
  return {batch.x};
}

Tensor ReconstructionStep::loss(const std::vector<Tensor>& inputs) {
  return mse_loss(network_(inputs.front()), inputs.back());
}

ClassifierStep::ClassifierStep(Module& network, const RunConfig& config, double defect_weight)
    : NetworkStep(network,
                  std::make_unique<Rmsprop>(network.parameters(),
                                            RmspropOptions{.learning_rate = config.lr,
                                                           .placement = placement_of(config)})),
      defect_weight_(defect_weight) {}

std::vector<Tensor> ClassifierStep::inputs(std::span<const Batch> batches) {
  return {batches[0].x, batches[0].labels};
}

Tensor ClassifierStep::loss(const std::vector<Tensor>& inputs) {
  return bce_with_logits_loss(network_(inputs[0]), inputs[1], defect_weight_);
}

Tensor draw_latents(uint64_t seed, uint64_t draw, int64_t n) {
  Tensor z = Tensor::empty({n, 1, 1, Dcgan::kLatent});
  random_normal(current_context(), seed, stream_id(RandomStream::latent, draw), z.size(), 0.0f,
                1.0f, z.mutable_data<float>());
  return z;
}

namespace {

/// The loss terms of a GanStep.
enum GanTerm : size_t { kReal, kFake, kGenerator };

std::unique_ptr<Optimizer> gan_adam(std::vector<Parameter> parameters, const RunConfig& config) {
  constexpr double kBeta1 = 0.5;  // arXiv:1511.06434, section 4
  return std::make_unique<Adam>(
      std::move(parameters),
      AdamOptions{.learning_rate = config.lr, .beta1 = kBeta1, .placement = placement_of(config)});
}

}  // namespace

GanStep::GanStep(Dcgan& gan, const RunConfig& config)
    : gan_(gan),
      k_steps_(config.k_steps),
      batch_(config.batch),
      seed_(config.seed),
      discriminator_adam_(gan_adam(gan.discriminator_parameters(), config)),
      generator_adam_(gan_adam(gan.generator_parameters(), config)),
      one_(Tensor::full({batch_, 1}, 1)),
      zero_(Tensor::zeros({batch_, 1})) {}

GanStep::~GanStep() = default;

std::vector<StepOptimizer> GanStep::optimizers() {
  return {{"discriminator_optimizer.", discriminator_adam_.get(), k_steps_},
          {"generator_optimizer.", generator_adam_.get()}};
}

std::vector<Tensor> GanStep::inputs(std::span<const Batch> batches) {
  std::vector<Tensor> inputs;
  for (const Batch& batch : batches) inputs.push_back(affine(batch.x, 2, -1));
  const auto first_draw = static_cast<uint64_t>(1 + steps() * k_steps_);
  for (int i = 0; i < k_steps_; ++i)
    inputs.push_back(draw_latents(seed_, first_draw + static_cast<uint64_t>(i), batch_));
  return inputs;
}

void GanStep::run(const std::vector<Tensor>& inputs, const StepCallbacks& callbacks) {
  gan_.train();
  const auto real = std::span(inputs).first(k_steps_), latents = std::span(inputs).last(k_steps_);
  for (int i = 0; i < k_steps_ - 1; ++i)
    update_discriminator(real[i], gan_.generate(latents[i]), callbacks);

  // The generator's update reuses the generated images of the discriminator's last update. The
  // plain algorithm would generate the same images again, with a fifth more work.
  Tape tape;
  const Tensor fake = gan_.generate(latents.back());
  update_discriminator(real.back(), fake.detach(), callbacks);

  gan_.discriminator().set_requires_grad(false);  // the generator needs only dL/dfake
  const Tensor loss = bce_with_logits_loss(gan_.discriminate(fake), one_);
  callbacks.on_loss({.index = kGenerator, .loss = loss, .logits = {}, .run_forward = [&] {
                       gan_.discriminate(gan_.generate(latents.back()));
                     }});
  tape.backward(loss);
  callbacks.update(*generator_adam_);
  generator_adam_->zero_grad();
  gan_.discriminator().set_requires_grad(true);
}

/// Real and generated images are separate batches, because batch norm normalises each batch
/// separately. The backward pass of the first comes before the forward pass of the second, so that
/// only one batch of activations is kept; the gradients add up.
void GanStep::update_discriminator(const Tensor& real, const Tensor& fake,
                                   const StepCallbacks& callbacks) {
  const auto add_gradients = [&](GanTerm term, const Tensor& images, const Tensor& label) {
    Tape tape;
    const Tensor logits = gan_.discriminate(images);
    const Tensor loss = bce_with_logits_loss(logits, label);
    callbacks.on_loss({.index = term, .loss = loss, .logits = logits, .run_forward = [&] {
                         gan_.discriminate(images);
                       }});
    tape.backward(loss);
  };
  add_gradients(kReal, real, one_);
  add_gradients(kFake, fake, zero_);
  callbacks.update(*discriminator_adam_);
  discriminator_adam_->zero_grad();  // frees their memory for the generator's
}

std::vector<LossTermInfo> GanStep::loss_terms() const {
  return {{"the discriminator's loss", true},
          {"the discriminator's loss", true},
          {"the generator's loss"}};
}

std::vector<std::string> GanStep::metric_names() const {
  return {"loss_d", "loss_g", "d_real", "d_fake"};
}

std::vector<double> GanStep::metrics(std::span<const LossValue> terms) const {
  return {terms[kReal].loss + terms[kFake].loss, terms[kGenerator].loss,
          mean_probability(terms[kReal].logits), mean_probability(terms[kFake].logits)};
}

std::string GanStep::note(std::span<const double> metrics) const {
  return fmt::format("D(x) {:.2f}, D(G(z)) {:.2f}", metrics[2], metrics[3]);
}

std::vector<StepLayer> GanStep::layers(const std::vector<Tensor>& inputs) const {
  std::vector<StepLayer> layers;
  const Shape& images = inputs.front().shape();
  for (int i = 0; i < k_steps_; ++i) {
    add_layers(gan_.generator(), inputs.back().shape(), true, layers);
    for (int pass = 0; pass < 2; ++pass)  // of real images, then of generated ones
      add_layers(gan_.discriminator(), images, true, layers);
  }
  add_layers(gan_.discriminator(), images, false, layers);
  return layers;
}

}  // namespace assay
