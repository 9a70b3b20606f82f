// A training step of each network on random data, for the benchmarks.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/operands.h"
#include "layers/init.h"
#include "models/experiments/configure.h"
#include "models/experiments/registry.h"
#include "models/training/step.h"
#include "tensor/ops.h"

namespace assay::bench {

/// Values in [0,1).
inline Tensor random_tensor(const Shape& shape, uint64_t seed) {
  auto values = random_floats(numel(shape), seed);
  for (float& v : values) v = 0.5f * v + 0.5f;
  return Tensor::from(shape, std::span<const float>(values));
}

/// A network, its TrainingStep and the inputs of one step.
class BenchStep {
 public:
  /// `image_size` 0 means the preset's size.
  BenchStep(const std::string& preset, int64_t batch, int image_size = 0) {
    const ModelSpec& model = model_of_preset(preset);
    RunConfig config = default_config(model.name, preset);
    config.batch = static_cast<int>(batch);
    if (image_size != 0) config.image_size = image_size;
    network_ = make_network(config);
    init_parameters(*network_, find_preset(preset).init, 1);
    step_ = model.make_step(*network_, config);
    const int64_t side = config.image_size;
    std::vector<float> labels(static_cast<size_t>(batch));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<float>(i % 2);
    const Tensor x = random_tensor({batch, side, side, config.channels()}, 2);
    const std::vector<Batch> batches(
        static_cast<size_t>(step_->batches_per_step()),
        {.images = std::vector<size_t>(static_cast<size_t>(batch)),
         .x = x,
         .clean = x,
         .labels = Tensor::from({batch, 1}, std::span<const float>(labels))});
    inputs_ = step_->inputs(batches);
    inference_input_ = random_tensor(network_->input_shape(batch), 4);
  }

  Network& network() { return *network_; }
  TrainingStep& step() { return *step_; }
  const std::vector<Tensor>& inputs() const { return inputs_; }
  void train() { step_->run(inputs_); }
  void run(bool training) {
    if (training)
      train();
    else
      infer();
  }
  /// The network's output for inference_input().
  const Tensor& infer() {
    network_->eval();
    output_ = (*network_)(inference_input_);
    return output_;
  }
  const Tensor& inference_input() const { return inference_input_; }

  /// Results of a step before it changes a weight, for comparisons: for each optimizer the sum of
  /// the losses that it lowers, the gradients of all parameters one after the other, and the output
  /// of infer().
  struct Values {
    std::vector<double> losses, gradient, output;
  };
  Values values() {
    Values v;
    double loss = 0;
    step_->run(inputs_, {.on_loss = [&](const LossTerm& term) { loss += term.loss.item(); },
                         .update =
                             [&](Optimizer& optimizer) {
                               v.losses.push_back(loss);
                               loss = 0;
                               for (const Parameter& p : optimizer.parameters())
                                 for (const double g : p.tensor.grad().to_doubles())
                                   v.gradient.push_back(g);
                             }});
    infer();
    v.output = output_.to_doubles();
    return v;
  }

  /// Taylor's theorem: a small step against the gradient g lowers the loss by length * |g|^2. The
  /// largest relative deviation from that over the optimizers.
  double gradient_error() {
    struct Slope {
      Optimizer* optimizer;
      double loss;
      std::vector<Tensor> gradient;
    };
    // The losses that each optimizer lowers, without an update.
    const auto slopes = [&] {
      std::vector<Slope> all;
      double loss = 0;
      step_->run(inputs_, {.on_loss = [&](const LossTerm& term) { loss += term.loss.item(); },
                           .update =
                               [&](Optimizer& optimizer) {
                                 all.push_back({&optimizer, loss, {}});
                                 loss = 0;
                                 for (const Parameter& p : optimizer.parameters())
                                   all.back().gradient.push_back(p.tensor.grad());
                               }});
      return all;
    };
    const std::vector<Slope> start = slopes();
    double worst = 0;
    for (size_t i = 0; i < start.size(); ++i) {
      const std::vector<Parameter>& parameters = start[i].optimizer->parameters();
      double squared = 0;
      for (const Tensor& g : start[i].gradient)
        for (const double v : g.to_doubles()) squared += v * v;
      const double length = 5e-4 * start[i].loss / squared;  // lowers the loss by half a thousandth
      const auto loss_at = [&](double factor) {
        for (size_t p = 0; p < parameters.size(); ++p)
          parameters[p].tensor.copy_from(
              add(parameters[p].tensor.detach(), affine(start[i].gradient[p], factor, 0)));
        return slopes()[i].loss;
      };
      const double below = loss_at(-length / 2), above = loss_at(length);
      loss_at(-length / 2);
      worst = std::max(worst, std::abs((above - below) / (length * squared) - 1));
    }
    return worst;
  }

  double forward_flops(int64_t batch) const {
    double flops = 0;
    for (const LayerRow& row : network_->table(batch)) flops += static_cast<double>(row.flops);
    return flops;
  }

 private:
  std::unique_ptr<Network> network_;
  std::unique_ptr<TrainingStep> step_;
  std::vector<Tensor> inputs_;
  Tensor inference_input_, output_;
};

}  // namespace assay::bench
