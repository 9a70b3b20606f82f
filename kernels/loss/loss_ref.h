// The definition of the losses.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/loss/loss.h"
#include "kernels/loss/loss_formula.h"

namespace assay::ref {

template <class T>
void mse_loss(int64_t n, const T* x, const T* target, T* loss, T* dx) {
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T d = x[i] - target[i];
    sum += d * d;
    if (dx != nullptr) dx[i] = 2 * d / static_cast<T>(n);
  }
  loss[0] = sum / static_cast<T>(n);
}

template <class T>
void mse_rows(int64_t rows, int64_t C, const T* x, const T* target, T* out) {
  for (int64_t i = 0; i < rows; ++i)
    mse_loss(C, x + i * C, target + i * C, out + i, static_cast<T*>(nullptr));
}

template <class T>
void bce_with_logits_loss(int64_t n, T pos_weight, const T* x, const T* target, T* loss, T* dx) {
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T e = std::exp(-std::abs(x[i]));
    sum += bce_value(x[i], target[i], pos_weight, std::log1p(e), std::max(-x[i], T(0)));
    const T sigmoid_negated = (x[i] > 0 ? e : T(1)) / (T(1) + e);
    if (dx != nullptr)
      dx[i] = bce_slope(sigmoid_negated, target[i], pos_weight) / static_cast<T>(n);
  }
  loss[0] = sum / static_cast<T>(n);
}

}  // namespace assay::ref
