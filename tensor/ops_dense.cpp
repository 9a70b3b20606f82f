// The dense layer.
#include <limits>

#include "kernels/gemm/gemm.h"
#include "kernels/pointwise/pointwise.h"
#include "tensor/derivatives.h"
#include "tensor/dtype.h"
#include "tensor/ops.h"

namespace assay {

namespace {

void check_linear(const Tensor& x, const Tensor& w, const Tensor& b) {
  check_rank("linear", x, 2, "x (N,I)");
  check_rank("linear", w, 2, "w (O,I)");
  check_alike("linear", x, w);
  ASSAY_CHECK(x.dim(1) == w.dim(1), "linear: x {} has {} columns but w {} wants {}",
              to_string(x.shape()), x.dim(1), to_string(w.shape()), w.dim(1));
  ASSAY_CHECK(x.dim(0) <= std::numeric_limits<int>::max(), "linear: x {} has too many rows",
              to_string(x.shape()));
  if (!b.defined()) return;
  check_alike("linear", w, b);
  ASSAY_CHECK(b.shape() == Shape{w.dim(0)}, "linear: the bias has the shape {} but w {}",
              to_string(b.shape()), to_string(w.shape()));
}

/// op(a) op(b), see kernels/gemm/gemm.h. `version` is 0 unless b is a weight, because only weights
/// are worth keeping in packed form.
Tensor product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
               uint64_t version, const Tensor& bias = {}, const GemmEpilogue& e = {}) {
  const GemmShape s{.M = static_cast<int>(a.dim(transpose_a ? 1 : 0)),
                    .N = static_cast<int>(b.dim(transpose_b ? 0 : 1)),
                    .K = static_cast<int>(a.dim(transpose_a ? 0 : 1)),
                    .transpose_a = transpose_a,
                    .transpose_b = transpose_b};
  Tensor c = Tensor::empty({s.M, s.N}, a.dtype());
  with_float_type("linear", a, [&]<class T>() {
    gemm<T>(current_context(), s, e, a.data<T>(), Weights<T>(b.data<T>(), version),
            data_or_null<T>(bias), c.mutable_data<T>());
  });
  return c;
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, Activation activation,
              float slope) {
  check_linear(x, w, b);
  check_activation("linear", activation, slope);
  Tensor y = product(x, false, w, true, w.version(), b,
                     {.activation = activation, .slope = slope});  // (N,O)
  const Tensor kept = activation == Activation::none ? Tensor() : y;
  Tape::record("linear", {x, w, b}, y,
               [=](const Tensor& dy, const NeedsInputGrad& needs_input_grad) {
                 const Tensor dz = activation_backward(activation, slope, kept, dy);  // (N,O)
                 Tensor dx, dw, db;
                 if (needs_input_grad[0]) dx = product(dz, false, w, false, w.version());  // (N,I)
                 if (needs_input_grad[1]) dw = product(dz, true, x, false, 0);             // (O,I)
                 if (needs_input_grad[2]) db = sum_rows(dz);                               // (O)
                 return std::vector<Tensor>{dx, dw, db};
               });
  return y;
}

}  // namespace assay
