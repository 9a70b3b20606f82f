#include "optim/adam.h"

#include "tensor/dtype.h"

namespace assay {

Adam::Adam(std::vector<Parameter> parameters, const AdamOptions& options)
    : Optimizer(std::move(parameters)), options_(options) {
  set_learning_rate(options.learning_rate);
  add_moment("m");
  add_moment("v");
}

AdamStep Adam::this_step() const {
  return {.lr = learning_rate(),
          .beta1 = options_.beta1,
          .beta2 = options_.beta2,
          .eps = options_.eps,
          .t = steps(),
          .placement = options_.placement};
}

void Adam::write_constants(float* constants) {
  assay::write_constants(current_context(), this_step(), constants);
}

void Adam::update(const float* constants) {
  AdamStep step = this_step();
  step.constants = constants;
  with_wide_type("adam", parameters_[0].tensor, [&]<class T>() {
    adam_update<T>(current_context(), step, slots<T>(&moments_[0], moments_[1]));
  });
}

}  // namespace assay
