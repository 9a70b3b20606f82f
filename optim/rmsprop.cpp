#include "optim/rmsprop.h"

#include "tensor/dtype.h"

namespace assay {

Rmsprop::Rmsprop(std::vector<Parameter> parameters, const RmspropOptions& options)
    : Optimizer(std::move(parameters)), options_(options) {
  set_learning_rate(options.learning_rate);
  add_moment("v");
}

RmspropStep Rmsprop::this_step() const {
  return {.lr = learning_rate(),
          .rho = options_.rho,
          .eps = options_.eps,
          .placement = options_.placement};
}

void Rmsprop::write_constants(float* constants) {
  assay::write_constants(current_context(), this_step(), constants);
}

void Rmsprop::update(const float* constants) {
  RmspropStep step = this_step();
  step.constants = constants;
  with_wide_type("rmsprop", parameters_[0].tensor, [&]<class T>() {
    rmsprop_update<T>(current_context(), step, slots<T>(nullptr, moments_[0]));
  });
}

}  // namespace assay
