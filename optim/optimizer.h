// The base class of the optimizers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/optim/optim.h"
#include "layers/module.h"
#include "tensor/safetensors.h"

namespace assay {

/// Holds handles of the parameters of a module and updates them in place.
class Optimizer {
 public:
  explicit Optimizer(std::vector<Parameter> parameters);
  virtual ~Optimizer() = default;

  /// One update from the gradients. Throws Error that names a parameter without a gradient.
  void step();
  void zero_grad();

  /// step() in two halves, for recorded steps (models/training/recorded_step.h). advance(), called
  /// before each replay, counts the next `updates` updates and copies their constants, such as the
  /// learning rate, to the device. apply() is the next update with these and may be recorded.
  void advance(int updates = 1);
  void apply();

  int64_t steps() const { return steps_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  double learning_rate() const { return learning_rate_; }
  void set_learning_rate(double rate) { learning_rate_ = rate; }

  /// "<kind>.steps" and "<kind>.<moment>.<parameter>", with which a resumed run continues bit for
  /// bit; the learning rate comes from the configuration.
  StateDict save() const;
  /// Throws CheckpointError, which starts with `source`, for a missing entry or a wrong shape.
  /// Ignores other entries of `state`, because the weights may be in the same file.
  void load(const StateDict& state, const std::string& source);

 protected:
  /// A moment of each parameter, of the parameter's shape, initially zero.
  struct Moment {
    std::string name;
    std::vector<Tensor> tensors;
  };
  void add_moment(std::string name);
  virtual const char* kind() const = 0;
  /// Updates the parameters, which have one type. steps() already counts this step. `constants`,
  /// unless null, is device memory with the constants of a float update.
  virtual void update(const float* constants) = 0;
  virtual void write_constants(float* constants) = 0;

  /// The slots of one kernel call; `m` may be null.
  template <class T>
  std::vector<OptimSlot<T>> slots(const Moment* m, const Moment& v) const;

  std::vector<Parameter> parameters_;
  std::vector<Moment> moments_;
  double learning_rate_ = 1e-3;

 private:
  void check_gradients() const;

  int64_t steps_ = 0;
  Tensor constants_;     // (updates, kOptimConstants), after the first advance()
  int64_t applied_ = 0;  // updates since the last advance()
};

}  // namespace assay
