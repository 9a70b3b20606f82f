// Batch normalisation.
#include "kernels/batchnorm/batchnorm.h"
#include "kernels/pointwise/pointwise.h"
#include "tensor/derivatives.h"
#include "tensor/dtype.h"
#include "tensor/ops.h"

namespace assay {

namespace {

BatchNormShape batch_norm_shape(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                const BatchNormState& state, bool training) {
  ASSAY_CHECK(x.rank() >= 2, "batch_norm: wants x (...,C) but got {}", to_string(x.shape()));
  const int64_t C = x.dim(-1);
  for (const Tensor& t : {gamma, beta, state.running_mean, state.running_var}) {
    check_parameter("batch_norm", x, t);
    ASSAY_CHECK(t.shape() == Shape{C},
                "batch_norm: x {} has {} channels but a parameter has the shape {}",
                to_string(x.shape()), C, to_string(t.shape()));
  }
  const int64_t rows = C > 0 ? x.size() / C : 0;
  ASSAY_CHECK(
      !training || rows >= 2,
      "batch_norm: x {} has one value per channel, which has no variance; use a larger batch",
      to_string(x.shape()));
  return {rows, static_cast<int>(C)};
}

/// dx = f'(y) dy gamma / sqrt(running_var + eps): the forward pass of f'(y) dy with mean and beta
/// 0.
Tensor inference_dx(const BatchNormShape& s, const BatchNormOptions& o, const Tensor& y,
                    const Tensor& dy, const Tensor& gamma, const BatchNormState& state) {
  const Tensor dz = activation_backward(o.activation, o.slope, y, dy);
  const Tensor zero = Tensor::zeros({s.C}, gamma.dtype());
  Tensor dx = Tensor::empty(dy.shape(), dy.dtype());
  with_float_type("batch_norm", dy, [&]<class T>() {
    batchnorm_inference<T>(current_context(), s, {.eps = o.eps},
                           {.x = dz.data<T>(),
                            .gamma = gamma.data<Master<T>>(),
                            .beta = zero.data<Master<T>>(),
                            .running_mean = zero.data<Master<T>>(),
                            .running_var = state.running_var.data<Master<T>>(),
                            .y = dx.mutable_data<T>()});
  });
  return dx;
}

Tensor inference(const BatchNormShape& s, const BatchNormOptions& o, const Tensor& x,
                 const Tensor& gamma, const Tensor& beta, const BatchNormState& state) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float_type("batch_norm", x, [&]<class T>() {
    batchnorm_inference<T>(current_context(), s, o,
                           {.x = x.data<T>(),
                            .gamma = gamma.data<Master<T>>(),
                            .beta = beta.data<Master<T>>(),
                            .running_mean = state.running_mean.data<Master<T>>(),
                            .running_var = state.running_var.data<Master<T>>(),
                            .y = y.mutable_data<T>()});
  });
  const Tensor kept = o.activation == Activation::none ? Tensor() : y;
  Tape::record("batch_norm", {x, gamma, beta}, y,
               [=](const Tensor& dy, const NeedsInputGrad& needs_input_grad) {
                 ASSAY_CHECK(!needs_input_grad[1] && !needs_input_grad[2],
                             "batch_norm: in inference mode gamma and beta have no derivative; "
                             "call train(), or set_requires_grad(false) for x's alone");
                 return std::vector<Tensor>{inference_dx(s, o, kept, dy, gamma, state), {}, {}};
               });
  return y;
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, BatchNormState& state,
                  const BatchNormOpOptions& op) {
  const BatchNormShape s = batch_norm_shape(x, gamma, beta, state, op.training);
  check_activation("batch_norm", op.activation, op.slope);
  const BatchNormOptions o{op.eps, op.momentum, op.activation, op.slope};
  if (!op.training) return inference(s, o, x, gamma, beta, state);

  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const Tensor mean = Tensor::empty({s.C}, gamma.dtype()),
               rstd = Tensor::empty({s.C}, gamma.dtype());
  with_float_type("batch_norm", x, [&]<class T>() {
    batchnorm_training<T>(current_context(), s, o,
                          {.x = x.data<T>(),
                           .gamma = gamma.data<Master<T>>(),
                           .beta = beta.data<Master<T>>(),
                           .y = y.mutable_data<T>(),
                           .mean = mean.mutable_data<Master<T>>(),
                           .rstd = rstd.mutable_data<Master<T>>(),
                           .running_mean = state.running_mean.mutable_data<Master<T>>(),
                           .running_var = state.running_var.mutable_data<Master<T>>()});
  });
  ++state.batches;
  const Tensor kept = op.activation == Activation::none ? Tensor() : y;
  Tape::record("batch_norm", {x, gamma, beta}, y, [=](const Tensor& dy, const NeedsInputGrad&) {
    const Tensor dx = Tensor::empty(x.shape(), x.dtype());
    const Tensor dgamma = Tensor::empty({s.C}, gamma.dtype()),
                 dbeta = Tensor::empty({s.C}, gamma.dtype());
    with_float_type("batch_norm", x, [&]<class T>() {
      batchnorm_backward<T>(current_context(), s, o,
                            {.x = x.data<T>(),
                             .y = data_or_null<T>(kept),
                             .dy = dy.data<T>(),
                             .gamma = gamma.data<Master<T>>(),
                             .mean = mean.data<Master<T>>(),
                             .rstd = rstd.data<Master<T>>(),
                             .dx = dx.mutable_data<T>(),
                             .dgamma = dgamma.mutable_data<Master<T>>(),
                             .dbeta = dbeta.mutable_data<Master<T>>()});
    });
    return std::vector<Tensor>{dx, dgamma, dbeta};
  });
  return y;
}

}  // namespace assay
