// The interface of optimizers, and what they share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/optim/optim.h"
#include "layers/module.h"
#include "tensor/safetensors.h"

namespace assay {

/// Holds handles on the parameters of a module and changes them in place.
class Optimizer {
 public:
  explicit Optimizer(std::vector<Parameter> parameters);
  virtual ~Optimizer() = default;

  /// One update from the gradients. Throws Error that names a parameter without a gradient.
  void step();
  void zero_grad();

  /// step() in two halves, for a step that is recorded (models/training/recorded_step.h). advance()
  /// counts the coming `updates` and brings the learning rate and what else changes in each to the
  /// memory of the device; it comes before each replay. apply() is the next update from there, and
  /// may be recorded.
  void advance(int updates = 1);
  void apply();

  int64_t steps() const { return steps_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  double learning_rate() const { return learning_rate_; }
  void set_learning_rate(double rate) { learning_rate_ = rate; }

  /// "<kind>.steps", "<kind>.<moment>.<parameter>": all that a resumed run needs to go on to the
  /// same bits (the learning rate comes from the configuration).
  StateDict save() const;
  /// Throws CheckpointError that starts with `source` and names what is missing or does not fit.
  /// Other entries of `state` are left alone: the weights may stand in the same file.
  void load(const StateDict& state, const std::string& source);

 protected:
  /// Moments of the parameters, each of the parameter's shape, zero at first.
  struct Moment {
    std::string name;
    std::vector<Tensor> tensors;
  };
  void add_moment(std::string name);
  virtual const char* kind() const = 0;
  /// Updates the parameters, all of one type, `steps()` counting this step already. Not null:
  /// where a float update finds the constants of the step.
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
  Tensor constants_;     // (updates, kOptimConstants), once advance() was called
  int64_t applied_ = 0;  // of these
};

}  // namespace assay
