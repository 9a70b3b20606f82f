// Adam. Kingma and Ba, 2015, arXiv:1412.6980. The formula is in kernels/optim/optim.h.
#pragma once

#include "optim/optimizer.h"

namespace assay {

struct AdamOptions {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-7;
  EpsPlacement placement = EpsPlacement::keras;
};

class Adam : public Optimizer {
 public:
  Adam(std::vector<Parameter> parameters, const AdamOptions& options);

 private:
  const char* kind() const override { return "adam"; }
  void update(const float* constants) override;
  void write_constants(float* constants) override;
  AdamStep this_step() const;
  AdamOptions options_;
};

}  // namespace assay
