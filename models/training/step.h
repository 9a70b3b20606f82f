// The training step of each kind of model: forward pass, backward pass and update of the weights.
// The trainer, `assay profile` and the benchmarks of whole steps run these.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/loader.h"
#include "models/networks/dcgan.h"
#include "models/run/config.h"
#include "optim/optimizer.h"

namespace assay {

/// One of the losses of a step, in device memory, before its backward pass.
struct LossTerm {
  size_t index;                       ///< in TrainingStep::loss_terms()
  Tensor loss;                        // (1)
  Tensor logits;                      ///< undefined unless LossTermInfo says otherwise // (N,1)
  std::function<void()> run_forward;  ///< computes the loss again, to find its first NaN
};

/// Callbacks of a step. By default losses are not read, and each optimizer updates its parameters
/// as soon as their gradients are complete.
struct StepCallbacks {
  std::function<void(const LossTerm&)> on_loss = [](const LossTerm&) {};
  std::function<void(Optimizer&)> update = [](Optimizer& optimizer) { optimizer.step(); };
};

struct LossTermInfo {
  const char* name;             ///< for messages: "the generator's loss"
  bool returns_logits = false;  ///< whether the metrics need the logits too
};

/// A loss term in host memory.
struct LossValue {
  double loss = 0;
  std::vector<float> logits;
};

/// An optimizer and how often a step applies it.
struct StepOptimizer {
  std::string prefix;  ///< of the names of its tensors in a checkpoint
  Optimizer* optimizer;
  int updates = 1;
};

/// A layer with weights, and which gradients its backward pass computes.
struct StepLayer {
  LayerRow row;
  bool weight_gradient, input_gradient;
};

/// A model's training step: it computes one or several losses of a batch and applies the
/// optimizers. run() depends only on its inputs and the module, makes no random numbers and reads
/// nothing back, so that it can be recorded as a CUDA graph.
class TrainingStep {
 public:
  TrainingStep() = default;
  virtual ~TrainingStep() = default;
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  /// The module with all trained parameters.
  virtual Module& module() = 0;
  virtual std::vector<StepOptimizer> optimizers() = 0;
  /// Batches of the loader that one step uses.
  virtual int batches_per_step() const { return 1; }

  /// The tensors that the next step reads, made from its batches.
  virtual std::vector<Tensor> inputs(std::span<const Batch> batches) = 0;
  /// One step on inputs(). Leaves the module in training mode and without gradients.
  virtual void run(const std::vector<Tensor>& inputs, const StepCallbacks& callbacks) = 0;
  void run(const std::vector<Tensor>& inputs) { run(inputs, StepCallbacks()); }

  virtual std::vector<LossTermInfo> loss_terms() const = 0;
  /// Names of the metrics, which are columns of history.csv with means over an epoch.
  virtual std::vector<std::string> metric_names() const = 0;
  /// The values of metric_names() for one step; `terms` in the order of loss_terms().
  virtual std::vector<double> metrics(std::span<const LossValue> terms) const = 0;
  /// A text for the progress line; if empty, the line shows the epoch and the first metric.
  virtual std::string note(std::span<const double> metrics) const;

  /// The layers with weights, in the order in which run() calls them.
  virtual std::vector<StepLayer> layers(const std::vector<Tensor>& inputs) const = 0;

  /// Finished steps, including those before a resume.
  int64_t steps();
  /// The state of the module ("model.*") and of the optimizers. A resumed training needs nothing
  /// else, since random numbers are functions of the seed and the number of the step.
  StateDict save();
  /// CheckpointError that starts with `source`.
  void load(const StateDict& state, const std::string& source);
};

/// A step with one network, one loss and one optimizer.
class NetworkStep : public TrainingStep {
 public:
  /// `network` outlives this.
  NetworkStep(Module& network, std::unique_ptr<Optimizer> optimizer)
      : network_(network), optimizer_(std::move(optimizer)) {}

  /// Mean loss of the inputs, in the mode that the network is in. // (1)
  virtual Tensor loss(const std::vector<Tensor>& inputs) = 0;

  Module& module() override { return network_; }
  std::vector<StepOptimizer> optimizers() override { return {{"", optimizer_.get()}}; }
  void run(const std::vector<Tensor>& inputs, const StepCallbacks& callbacks) override;
  std::vector<LossTermInfo> loss_terms() const override { return {{"the loss"}}; }
  std::vector<std::string> metric_names() const override { return {"train_loss"}; }
  std::vector<double> metrics(std::span<const LossValue> terms) const override;
  std::vector<StepLayer> layers(const std::vector<Tensor>& inputs) const override;

 protected:
  Module& network_;

 private:
  std::unique_ptr<Optimizer> optimizer_;
};

/// An autoencoder's step, by Adam. Loss: the mean squared error of the reconstruction against the
/// input or, with config.denoise, against the input before its noise.
class ReconstructionStep : public NetworkStep {
 public:
  ReconstructionStep(Module& network, const RunConfig& config);
  /// {x} or, to denoise, {x, clean}. // (N,H,W,C)
  std::vector<Tensor> inputs(std::span<const Batch> batches) override;
  Tensor loss(const std::vector<Tensor>& inputs) override;

 private:
  bool denoise_;
};

/// A classifier's step, by RMSprop. Loss: the binary cross-entropy of the logits.
class ClassifierStep : public NetworkStep {
 public:
  /// A defective image weighs as much as `defect_weight` good ones.
  ClassifierStep(Module& network, const RunConfig& config, double defect_weight = 1);
  /// {x (N,H,W,C), labels (N,1)}
  std::vector<Tensor> inputs(std::span<const Batch> batches) override;
  Tensor loss(const std::vector<Tensor>& inputs) override;

 private:
  double defect_weight_;
};

/// The metrics of a GanStep.
struct GanMetrics {
  double loss_d = 0;  ///< binary cross-entropy of real images plus that of generated ones
  double loss_g = 0;  ///< of generated images with the label "real" ("non-saturating")
  double d_real = 0;  ///< D(x): the mean probability of being real that D gives real images
  double d_fake = 0;  ///< D(G(z)): mean probability of being real of generated images, before D's
                      ///< update
};

/// n latents (n,1,1,100) from N(0,1); latent i is a function of (seed, draw, i). Draw 0 is for
/// `assay generate` and the grids of samples; training uses the others.
Tensor draw_latents(uint64_t seed, uint64_t draw, int64_t n);

/// k updates of the discriminator, then one of the generator. Goodfellow et al., 2014,
/// arXiv:1406.2661, algorithm 1; Radford et al., 2016, arXiv:1511.06434, section 4. Both by Adam.
class GanStep : public TrainingStep {
 public:
  /// `gan` outlives this.
  GanStep(Dcgan& gan, const RunConfig& config);
  ~GanStep() override;

  Module& module() override { return gan_; }
  std::vector<StepOptimizer> optimizers() override;
  int batches_per_step() const override { return k_steps_; }
  /// k batches of real images in [-1,1] (N,H,W,C), then k of latents (N,1,1,100). N is
  /// config.batch.
  std::vector<Tensor> inputs(std::span<const Batch> batches) override;
  void run(const std::vector<Tensor>& inputs, const StepCallbacks& callbacks) override;
  std::vector<LossTermInfo> loss_terms() const override;
  std::vector<std::string> metric_names() const override;
  /// The members of GanMetrics in their order; those of the discriminator are of its last update.
  std::vector<double> metrics(std::span<const LossValue> terms) const override;
  std::string note(std::span<const double> metrics) const override;
  std::vector<StepLayer> layers(const std::vector<Tensor>& inputs) const override;

 private:
  void update_discriminator(const Tensor& real, const Tensor& fake, const StepCallbacks& callbacks);

  Dcgan& gan_;
  int k_steps_;
  int64_t batch_;
  uint64_t seed_;
  std::unique_ptr<Optimizer> discriminator_adam_, generator_adam_;
  Tensor one_, zero_;  ///< labels of real and generated images // (N,1)
};

}  // namespace assay
