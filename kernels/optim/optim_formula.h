// The updates of one weight, once for the reference, the CPU and CUDA.
#pragma once

#include "kernels/runtime/formula.h"

namespace assay {

/// One RMSprop step; the constants in the type of the weights.
template <class T>
struct RmspropFormula {
  T lr, rho, one_minus_rho, eps;
  bool eps_inside;  ///< under the root, as Keras

  ASSAY_FORMULA void update(T g, T& w, T& v) const {
    v = rho * v + one_minus_rho * (g * g);
    const T root = eps_inside ? square_root(v + eps) : square_root(v) + eps;
    w -= lr * g / root;
  }
};

/// One Adam step. Both placements of eps are w -= rate m / (root_scale sqrt(v) + eps):
///   keras  rate = lr sqrt(1 - beta2^t) / (1 - beta1^t), root_scale = 1
///   torch  rate = lr / (1 - beta1^t), root_scale = 1 / sqrt(1 - beta2^t)
template <class T>
struct AdamFormula {
  T rate, root_scale, beta1, one_minus_beta1, beta2, one_minus_beta2, eps;

  ASSAY_FORMULA void update(T g, T& w, T& m, T& v) const {
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * (g * g);
    w -= rate * m / (root_scale * square_root(v) + eps);
  }
};

}  // namespace assay
