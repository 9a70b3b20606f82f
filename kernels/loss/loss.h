// Losses, each computed together with its gradient.
#pragma once

#include "kernels/runtime/context.h"

namespace assay {

/// loss[0] = sum (x - t)^2 / n; dx (n) = 2 (x - t) / n unless it is null. Throws Error for n = 0.
template <class T>
void mse_loss(Context& ctx, int64_t n, const T* x, const T* target, T* loss, T* dx);

/// Mean squared error of each row: out (rows) = sum_c (x - t)^2 / C. Throws Error for C = 0.
template <class T>
void mse_rows(Context& ctx, int64_t rows, int64_t C, const T* x, const T* target, T* out);

/// Binary cross-entropy on logits x with labels t in [0,1] and the weight w_pos of positives, in a
/// form that neither overflows nor loses small values:
///
///   l_i = (1 - t) x + (1 + (w_pos - 1) t) (log(1 + exp(-|x|)) + max(-x, 0))
///   loss[0] = sum l_i / n
///
/// dx (n) gets the gradient unless it is null. Throws Error for n = 0.
template <class T>
void bce_with_logits_loss(Context& ctx, int64_t n, T pos_weight, const T* x, const T* target,
                          T* loss, T* dx);

}  // namespace assay
