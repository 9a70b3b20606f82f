// The operations on tensors. Each checks shapes (kernels do not), runs its kernel and records its
// derivative. All throw Error, which names the operation and both shapes, if shapes, types or
// devices do not fit.
//
// Beside bf16 activations the parameters (w, b, gamma, beta), the state of batch norm and their
// gradients are f32, and so is a sum. Losses want f32 or f64.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "tensor/tape.h"
#include "tensor/tensor.h"

namespace assay {

struct Conv2dOptions {
  int stride = 1;
  int pad = 0;
  int upsample = 1;  ///< nearest upsampling in front: 1, 2 or 4
  Activation activation = Activation::none;
  float slope = 0.2f;  ///< leaky_relu's slope below 0, > 0
  int pool = 1;        ///< max-pool behind: 1, 2 or 4
};
/// x (N,H,W,C), w (K,R,S,C), b (K) or undefined -> (N,P/pool,Q/pool,K). See
/// kernels/conv2d/conv2d.h.
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dOptions& o);

struct ConvTranspose2dOptions {
  int stride = 1;
  int pad = 0;
  Activation activation = Activation::none;
  float slope = 0.2f;
};
/// x (N,P,Q,K), w (K,R,S,C), b (C) or undefined -> (N,H,W,C), H = (P-1) stride - 2 pad + R.
Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const Tensor& b,
                        const ConvTranspose2dOptions& o);

/// x (N,I), w (O,I), b (O) or undefined -> f(x w^T + b), (N,O).
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b,
              Activation activation = Activation::none, float slope = 0.2f);

/// The state of batch norm, which training updates.
struct BatchNormState {
  Tensor running_mean, running_var;  ///< (C)
  int64_t batches = 0;               ///< PyTorch's num_batches_tracked
};
struct BatchNormOpOptions {
  bool training = true;
  double eps = 1e-5;
  double momentum = 0.1;
  Activation activation = Activation::none;
  float slope = 0.2f;
};
/// x (...,C), gamma (C), beta (C) -> (...,C). In training it updates `state`; in inference only x
/// has a derivative. See kernels/batchnorm/batchnorm.h.
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, BatchNormState& state,
                  const BatchNormOpOptions& o);

/// x (N,H,W,C) -> (N,P,Q,C), P = (H - window)/stride + 1; window at most 16.
Tensor max_pool2d(const Tensor& x, int window, int stride);
Tensor avg_pool2d(const Tensor& x, int window, int stride);
/// Nearest upsampling: x (N,H,W,C) -> (N,H*factor,W*factor,C).
Tensor upsample2d(const Tensor& x, int factor);

/// f(x), of the shape of x.
Tensor activation(const Tensor& x, Activation a, float slope = 0.2f);
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, float slope = 0.2f);
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);

/// Element by element; a and b have one shape.
Tensor add(const Tensor& a, const Tensor& b);
Tensor subtract(const Tensor& a, const Tensor& b);
Tensor multiply(const Tensor& a, const Tensor& b);
/// scale * x + shift.
Tensor affine(const Tensor& x, double scale, double shift);

Tensor sum(const Tensor& x);   ///< (1), f32 for bf16
Tensor mean(const Tensor& x);  ///< (1)

/// Mean over all elements; (1).
Tensor mse_loss(const Tensor& x, const Tensor& target);
/// Mean over all elements; (1). Labels are in [0,1]; see kernels/loss/loss.h.
Tensor bce_with_logits_loss(const Tensor& logits, const Tensor& target, double pos_weight = 1);
/// 1 - mean SSIM over the batch; (1).
Tensor ssim_loss(const Tensor& x, const Tensor& target);

}  // namespace assay
