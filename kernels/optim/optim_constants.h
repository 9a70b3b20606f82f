// From an optimizer's options to the constants of its formula.
#pragma once

#include <cmath>

#include "kernels/optim/optim.h"
#include "kernels/optim/optim_formula.h"

namespace assay {

static_assert(sizeof(RmspropFormula<float>) <= kOptimConstants * sizeof(float));
static_assert(sizeof(AdamFormula<float>) <= kOptimConstants * sizeof(float));

template <class T>
RmspropFormula<T> formula_of(const RmspropStep& o) {
  return {.lr = static_cast<T>(o.lr),
          .rho = static_cast<T>(o.rho),
          .one_minus_rho = static_cast<T>(1 - o.rho),
          .eps = static_cast<T>(o.eps),
          .eps_inside = o.placement == EpsPlacement::keras};
}

template <class T>
AdamFormula<T> formula_of(const AdamStep& o) {
  const double t = static_cast<double>(o.t);
  const double correction1 = 1 - std::pow(o.beta1, t);
  const double correction2 = std::sqrt(1 - std::pow(o.beta2, t));
  const bool keras = o.placement == EpsPlacement::keras;
  return {.rate = static_cast<T>((keras ? o.lr * correction2 : o.lr) / correction1),
          .root_scale = static_cast<T>(keras ? 1 : 1 / correction2),
          .beta1 = static_cast<T>(o.beta1),
          .one_minus_beta1 = static_cast<T>(1 - o.beta1),
          .beta2 = static_cast<T>(o.beta2),
          .one_minus_beta2 = static_cast<T>(1 - o.beta2),
          .eps = static_cast<T>(o.eps)};
}

}  // namespace assay
