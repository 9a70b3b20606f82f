// RMSprop. Tieleman and Hinton, 2012, lecture 6.5. The formula is in kernels/optim/optim.h.
#pragma once

#include "optim/optimizer.h"

namespace assay {

struct RmspropOptions {
  double learning_rate = 1e-3, rho = 0.9, eps = 1e-7;
  EpsPlacement placement = EpsPlacement::keras;
};

class Rmsprop : public Optimizer {
 public:
  Rmsprop(std::vector<Parameter> parameters, const RmspropOptions& options);

 private:
  const char* kind() const override { return "rmsprop"; }
  void update(const float* constants) override;
  void write_constants(float* constants) override;
  RmspropStep this_step() const;
  RmspropOptions options_;
};

}  // namespace assay
