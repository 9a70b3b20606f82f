// A whole training step of each of our networks, as the benchmarks run it on the CPU and the GPU.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/operands.h"
#include "models/experiments/registry.h"
#include "models/networks/dcgan.h"
#include "models/training/recorded_step.h"
#include "optim/adam.h"
#include "optim/rmsprop.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace assay::bench {

/// One loss, the parameters it trains, and their optimizer.
struct Objective {
  std::function<Tensor()> loss;
  std::vector<Parameter> parameters;
  std::unique_ptr<Optimizer> optimizer;

  void forget_gradients() {
    for (const Parameter& p : parameters) p.tensor.set_grad({});
  }
  /// Returns the loss.
  Tensor backward() {
    forget_gradients();
    Tape tape;
    const Tensor value = loss();
    tape.backward(value);
    return value;
  }
};

inline Tensor random_tensor(const Shape& shape, float scale, float shift, uint64_t seed) {
  auto values = random_floats(numel(shape), seed);
  for (float& v : values) v = scale * v + shift;
  return Tensor::from(shape, std::span<const float>(values));
}

/// A network with what a step of it needs. A DCGAN's step is one of D, then one of G with the same
/// generated pictures, as `assay train` does it (GanPlayers).
class Step {
 public:
  /// `image_size` 0: the preset's own.
  Step(const std::string& preset, int64_t batch, int image_size = 0)
      : net_(make_network(preset, image_size)), init_(find_preset(preset).init) {
    init_parameters(*net_, init_, 1);
    input_ = random_tensor(net_->input_shape(batch), 0.5f, 0.5f, 2);  // pictures in [0,1)
    if (auto* gan = dynamic_cast<Dcgan*>(net_.get())) {
      input_ = random_tensor(net_->input_shape(batch), 1.7f, 0, 2);  // about N(0,1)'s deviation
      make_gan(*gan, batch);
    } else if (preset.starts_with("cnn")) {
      std::vector<float> labels(static_cast<size_t>(batch));
      for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<float>(i % 2);
      const Tensor target = Tensor::from({batch, 1}, std::span<const float>(labels));
      add([this, target] { return bce_with_logits_loss(net_->forward(input_), target); },
          std::make_unique<Rmsprop>(net_->parameters(), RmspropOptions{}), net_->parameters());
    } else {
      add([this] { return mse_loss(net_->forward(input_), input_); },
          std::make_unique<Adam>(net_->parameters(), AdamOptions{}), net_->parameters());
    }
  }

  void train() {
    if (auto* gan = dynamic_cast<Dcgan*>(net_.get())) return train_gan(*gan);
    for (Objective& o : objectives_) {
      before(o);
      o.backward();
      update(o);
    }
  }
  void infer() {
    net_->eval();
    output_ = net_->forward(input_);
    net_->train();
  }

  /// What a step is made of, for a comparison: each objective's loss, the gradients of its
  /// parameters one after the other, and the output of infer().
  struct Values {
    std::vector<double> losses, gradient, output;
  };
  Values values() {
    Values v;
    for (Objective& o : objectives_) {
      before(o);
      v.losses.push_back(o.backward().item());
      for (const Parameter& p : o.parameters)
        for (const double g : p.tensor.grad().to_doubles()) v.gradient.push_back(g);
      o.forget_gradients();
    }
    infer();
    v.output = output_.to_doubles();
    return v;
  }

  /// For models/training/recorded_step.h: from now on train() leaves it to others to advance the
  /// optimizers.
  void leave_advancing() { advances_ = false; }
  Module& network() { return *net_; }
  std::vector<RecordedStep::Updates> optimizers() const {
    std::vector<RecordedStep::Updates> all;
    for (const Objective& o : objectives_) all.push_back({o.optimizer.get()});
    return all;
  }

  double forward_flops(int64_t batch) const {
    double flops = 0;
    for (const LayerRow& row : net_->table(batch)) flops += static_cast<double>(row.flops);
    return flops;
  }

  /// Taylor's theorem: a small step against the gradient g lowers the loss by length * |g|^2. The
  /// largest relative deviation from that over the objectives.
  double gradient_error() {
    double worst = 0;
    for (Objective& o : objectives_) {
      before(o);
      o.backward();
      double squared = 0;
      for (const Parameter& p : o.parameters)
        for (const double g : p.tensor.grad().to_doubles()) squared += g * g;
      const double loss = o.loss().item();
      const double length = 5e-4 * loss / squared;  // lowers the loss by half a thousandth
      const auto move = [&](double factor) {
        for (const Parameter& p : o.parameters)
          p.tensor.copy_from(assay::add(p.tensor.detach(), affine(p.tensor.grad(), factor, 0)));
      };
      move(-length / 2);
      const double below = o.loss().item();
      move(length);
      const double above = o.loss().item();
      move(-length / 2);
      worst = std::max(worst, std::abs((above - below) / (length * squared) - 1));
    }
    return worst;
  }

 private:
  void add(std::function<Tensor()> loss, std::unique_ptr<Optimizer> optimizer,
           std::vector<Parameter> parameters) {
    objectives_.push_back({std::move(loss), std::move(parameters), std::move(optimizer)});
  }

  void make_gan(Dcgan& gan, int64_t batch) {
    const int64_t side = gan.image_size();
    real_ = random_tensor({batch, side, side, gan.channels()}, 1, 0, 3);
    one_ = Tensor::full({batch, 1}, 1);
    zero_ = Tensor::zeros({batch, 1});
    const AdamOptions options{.learning_rate = 2e-4, .beta1 = 0.5};
    add(
        [&gan, this] {
          return assay::add(
              bce_with_logits_loss(gan.discriminate(real_), one_),
              bce_with_logits_loss(gan.discriminate(gan.generate(input_).detach()), zero_));
        },
        std::make_unique<Adam>(gan.discriminator_parameters(), options),
        gan.discriminator_parameters());
    add([&gan, this] { return bce_with_logits_loss(gan.discriminate(gan.generate(input_)), one_); },
        std::make_unique<Adam>(gan.generator_parameters(), options), gan.generator_parameters());
  }

  void update(Objective& o) {
    if (advances_)
      o.optimizer->step();
    else
      o.optimizer->apply();
  }

  void train_gan(Dcgan& gan) {
    Objective &of_d = objectives_.front(), &of_g = objectives_.back();
    before(of_g);
    Tape tape;  // from the latents to the generator's loss
    const Tensor fake = gan.generate(input_);
    before(of_d);
    const auto judge = [&](const Tensor& pictures, const Tensor& label) {
      Tape judging;
      judging.backward(bce_with_logits_loss(gan.discriminate(pictures), label));
    };
    judge(real_, one_);
    judge(fake.detach(), zero_);
    update(of_d);
    of_d.forget_gradients();
    before(of_g);
    tape.backward(bce_with_logits_loss(gan.discriminate(fake), one_));
    update(of_g);
    of_g.forget_gradients();
  }

  // Only what the objective trains gets gradients.
  void before(const Objective& o) {
    auto* gan = dynamic_cast<Dcgan*>(net_.get());
    if (gan == nullptr) return;
    const bool trains_discriminator = &o == &objectives_.front();
    gan->discriminator().set_requires_grad(trains_discriminator);
    gan->generator().set_requires_grad(!trains_discriminator);
  }

  std::unique_ptr<Network> net_;
  Init init_;
  Tensor input_, output_;
  Tensor real_, one_, zero_;  // of a DCGAN
  bool advances_ = true;
  std::vector<Objective> objectives_;
};

}  // namespace assay::bench
