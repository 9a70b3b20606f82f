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

  int64_t steps() const { return steps_; }
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
  /// Updates the parameters, all of one type, `steps()` counting this step already.
  virtual void update() = 0;

  /// The slots of one kernel call; `m` may be null.
  template <class T>
  std::vector<OptimSlot<T>> slots(const Moment* m, const Moment& v) const;

  std::vector<Parameter> parameters_;
  std::vector<Moment> moments_;
  double learning_rate_ = 1e-3;

 private:
  int64_t steps_ = 0;
};

}  // namespace assay
