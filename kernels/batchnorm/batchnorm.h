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
// Beside bf16 activations the parameters, statistics and sums are float (Master).
#pragma once

#include "kernels/pointwise/activation_formula.h"
#include "kernels/runtime/bf16.h"
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

/// Operands of training.
template <class T>
struct BatchNormTraining {
  const T* x;                            ///< (rows,C)
  const Master<T>*gamma, *beta;          ///< (C)
  T* y;                                  ///< (rows,C)
  Master<T>*mean, *rstd;                 ///< (C), written: rstd = 1/sqrt(var + eps)
  Master<T>*running_mean, *running_var;  ///< (C), updated
};
/// Operands of inference.
template <class T>
struct BatchNormInference {
  const T* x;                                  ///< (rows,C)
  const Master<T>*gamma, *beta;                ///< (C)
  const Master<T>*running_mean, *running_var;  ///< (C)
  T* y;                                        ///< (rows,C)
};
/// Operands of the gradients of training.
template <class T>
struct BatchNormBackward {
  const T* x;              ///< (rows,C)
  const T* y;              ///< (rows,C), output of the forward pass; null when activation is none
  const T* dy;             ///< (rows,C)
  const Master<T>* gamma;  ///< (C)
  const Master<T>*mean, *rstd;  ///< (C), from the forward pass
  T* dx;                        ///< (rows,C), overwritten
  Master<T>*dgamma, *dbeta;     ///< (C), overwritten
};

/// Throws Error for fewer than 2 rows, which have no variance, or no channel.
template <class T>
void batchnorm_training(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormTraining<T>& t);
template <class T>
void batchnorm_inference(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                         const BatchNormInference<T>& t);
template <class T>
void batchnorm_backward(Context& ctx, const BatchNormShape& s, const BatchNormOptions& o,
                        const BatchNormBackward<T>& t);

}  // namespace assay
