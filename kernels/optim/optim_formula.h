// The updates of one weight, once for the reference, the CPU and CUDA.
#pragma once

#include "kernels/optim/optim.h"
#include "kernels/runtime/formula.h"

namespace assay {

/// Constants of an RMSprop step in the type of the weights.
template <class T>
struct RmspropFormula {
  T lr, rho, one_minus_rho, eps;
  bool eps_inside;  ///< under the root, as Keras

  explicit RmspropFormula(const RmspropStep& o)
      : lr(static_cast<T>(o.lr)),
        rho(static_cast<T>(o.rho)),
        one_minus_rho(static_cast<T>(1 - o.rho)),
        eps(static_cast<T>(o.eps)),
        eps_inside(o.placement == EpsPlacement::keras) {}

  ASSAY_FORMULA void update(T g, T& w, T& v) const {
    v = rho * v + one_minus_rho * (g * g);
    const T root = eps_inside ? square_root(v + eps) : square_root(v) + eps;
    w -= lr * g / root;
  }
};

/// Constants of an Adam step. Both placements are w -= rate * m / (root_scale * sqrt(v) + eps):
///   keras  rate = lr sqrt(1 - beta2^t) / (1 - beta1^t), root_scale = 1
///   torch  rate = lr / (1 - beta1^t), root_scale = 1 / sqrt(1 - beta2^t)
template <class T>
struct AdamFormula {
  T rate, root_scale, beta1, one_minus_beta1, beta2, one_minus_beta2, eps;

  explicit AdamFormula(const AdamStep& o) {
    const double t = static_cast<double>(o.t);
    const double correction1 = 1 - pow(o.beta1, t), correction2 = sqrt(1 - pow(o.beta2, t));
    const bool keras = o.placement == EpsPlacement::keras;
    rate = static_cast<T>((keras ? o.lr * correction2 : o.lr) / correction1);
    root_scale = static_cast<T>(keras ? 1 : 1 / correction2);
    beta1 = static_cast<T>(o.beta1);
    one_minus_beta1 = static_cast<T>(1 - o.beta1);
    beta2 = static_cast<T>(o.beta2);
    one_minus_beta2 = static_cast<T>(1 - o.beta2);
    eps = static_cast<T>(o.eps);
  }

  ASSAY_FORMULA void update(T g, T& w, T& m, T& v) const {
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * (g * g);
    w -= rate * m / (root_scale * square_root(v) + eps);
  }
};

}  // namespace assay
