// Batch normalisation over the rows of a (rows, C) matrix, rows = N*H*W, with the activation behind
// it. Ioffe and Szegedy, 2015, arXiv:1502.03167, algorithm 1.
//
//   training   mean = sum x / rows,  var = sum (x - mean)^2 / rows        per channel
//              y = f( gamma (x - mean) / sqrt(var + eps) + beta )
//              running = (1 - momentum) running + momentum * statistic, with the unbiased variance
//              var * rows / (rows - 1), as PyTorch
//   inference  the same y from the running statistics
//
// These lines are the only definition of eps, momentum and variance bias for all implementations.
#pragma once

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/context.h"

namespace assay {

struct BatchNormShape {
  int64_t rows;  ///< at least 2 in training
  int C;
};
struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  Activation activation = Activation::none;
  float slope = 0;
};

/// Writes y (rows,C), mean (C) and rstd = 1/sqrt(var + eps) (C); updates running_mean, running_var
/// (C).
template <class T>
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const T* x, const T* gamma, const T* beta, T* y, T* mean, T* rstd,
                        T* running_mean, T* running_var);
template <class T>
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const T* x, const T* gamma, const T* beta, const T* running_mean,
                         const T* running_var, T* y);
/// Gradients of batchnorm_training: dx (rows,C), dgamma (C), dbeta (C), all overwritten. y is the
/// forward pass's output (null when activation is none).
template <class T>
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const T* x, const T* y, const T* dy, const T* gamma, const T* mean,
                        const T* rstd, T* dx, T* dgamma, T* dbeta);

}  // namespace assay
