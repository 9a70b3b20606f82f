// Losses. While a tape records, each computes its gradient together with its value, and the
// backward pass only scales it.
#include <vector>

#include "kernels/loss/loss.h"
#include "kernels/ssim/ssim.h"
#include "tensor/derivatives.h"
#include "tensor/dtype.h"
#include "tensor/ops.h"

namespace assay {

namespace {

void check_loss(std::string_view op, const Tensor& x, const Tensor& target) {
  check_same_shape(op, x, target);
  ASSAY_CHECK(x.size() > 0, "{}: the tensor {} has no elements", op, to_string(x.shape()));
  ASSAY_CHECK(!Tape::records({target}), "{}: the target gets no gradient; detach() it", op);
}

void record_loss(std::string_view op, const Tensor& x, Tensor& loss, const Tensor& dx) {
  Tape::record(op, {x}, loss, [dx](const Tensor& dloss, const NeedsInputGrad&) {
    return std::vector<Tensor>{scaled(dx, dloss)};
  });
}

}  // namespace

Tensor mse_loss(const Tensor& x, const Tensor& target) {
  check_loss("mse_loss", x, target);
  Tensor loss = Tensor::empty({1}, x.dtype()), dx;
  if (Tape::records({x})) dx = Tensor::empty(x.shape(), x.dtype());
  with_wide_type("mse_loss", x, [&]<class T>() {
    mse_loss<T>(current_context(), x.size(), x.data<T>(), target.data<T>(), loss.mutable_data<T>(),
                dx.defined() ? dx.mutable_data<T>() : nullptr);
  });
  record_loss("mse_loss", x, loss, dx);
  return loss;
}

Tensor bce_with_logits_loss(const Tensor& logits, const Tensor& target, double pos_weight) {
  check_loss("bce_with_logits_loss", logits, target);
  Tensor loss = Tensor::empty({1}, logits.dtype()), dx;
  if (Tape::records({logits})) dx = Tensor::empty(logits.shape(), logits.dtype());
  with_wide_type("bce_with_logits_loss", logits, [&]<class T>() {
    bce_with_logits_loss<T>(current_context(), logits.size(), static_cast<T>(pos_weight),
                            logits.data<T>(), target.data<T>(), loss.mutable_data<T>(),
                            dx.defined() ? dx.mutable_data<T>() : nullptr);
  });
  record_loss("bce_with_logits_loss", logits, loss, dx);
  return loss;
}

Tensor ssim_loss(const Tensor& x, const Tensor& target) {
  check_loss("ssim_loss", x, target);
  check_rank("ssim_loss", x, 4, "x (N,H,W,C)");
  const SsimShape s{static_cast<int>(x.dim(0)), static_cast<int>(x.dim(1)),
                    static_cast<int>(x.dim(2)), static_cast<int>(x.dim(3))};
  Tensor value = Tensor::empty({s.N}, x.dtype()), dx;
  const Tensor dvalue = Tensor::full({s.N}, -1.0 / s.N, x.dtype());  // of 1 - mean
  if (Tape::records({x})) dx = Tensor::empty(x.shape(), x.dtype());
  with_wide_type("ssim_loss", x, [&]<class T>() {
    ssim<T>(current_context(), s, x.data<T>(), target.data<T>(), value.mutable_data<T>(), nullptr);
    if (dx.defined())
      ssim_bprop<T>(current_context(), s, x.data<T>(), target.data<T>(), dvalue.data<T>(),
                    dx.mutable_data<T>());
  });
  Tensor loss = affine(sum(value), -1.0 / s.N, 1);
  record_loss("ssim_loss", x, loss, dx);
  return loss;
}

}  // namespace assay
