// The definition of the optimizers' updates.
#pragma once

#include <cstring>

#include "kernels/optim/optim_constants.h"

namespace assay::ref {

template <class T>
void rmsprop_update(const RmspropStep& o, const std::vector<OptimSlot<T>>& slots) {
  const auto formula = formula_of<T>(o);
  for (const auto& s : slots)
    for (int64_t i = 0; i < s.n; ++i) formula.update(s.dw[i], s.w[i], s.v[i]);
}

template <class T>
void adam_update(const AdamStep& o, const std::vector<OptimSlot<T>>& slots) {
  const auto formula = formula_of<T>(o);
  for (const auto& s : slots)
    for (int64_t i = 0; i < s.n; ++i) formula.update(s.dw[i], s.w[i], s.m[i], s.v[i]);
}

template <class Formula, class T>
void write_constants(const Formula& formula, T* constants) {
  std::memcpy(constants, &formula, sizeof formula);
}

}  // namespace assay::ref
