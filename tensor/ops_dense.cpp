// The dense layer.
#include <limits>
#include <memory>

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
  check_parameter("linear", x, w);
  ASSAY_CHECK(x.dim(1) == w.dim(1), "linear: x {} has {} columns but w {} wants {}",
              to_string(x.shape()), x.dim(1), to_string(w.shape()), w.dim(1));
  ASSAY_CHECK(x.dim(0) <= std::numeric_limits<int>::max(), "linear: x {} has too many rows",
              to_string(x.shape()));
  if (!b.defined()) return;
  check_alike("linear", w, b);
  ASSAY_CHECK(b.shape() == Shape{w.dim(0)}, "linear: the bias has the shape {} but w {}",
              to_string(b.shape()), to_string(w.shape()));
}

/// a op(w), see kernels/gemm/gemm.h.
Tensor product(const Tensor& a, const Tensor& w, bool transpose_w, const Tensor& bias = {},
               const GemmEpilogue& e = {}) {
  const GemmShape s{.M = static_cast<int>(a.dim(0)),
                    .N = static_cast<int>(w.dim(transpose_w ? 0 : 1)),
                    .K = static_cast<int>(a.dim(1)),
                    .transpose_b = transpose_w};
  Tensor c = Tensor::empty({s.M, s.N}, a.dtype());
  with_float_type("linear", a, [&]<class T>() {
    gemm<T>(current_context(), s, e, a.data<T>(), {w.data<Master<T>>(), w.version()},
            data_or_null<Master<T>>(bias), c.mutable_data<T>());
  });
  return c;
}

/// dz^T x for dz (N,O) and x (N,I). // (O,I)
Tensor weight_gradient(const Tensor& dz, const Tensor& x) {
  const GemmShape s{.M = static_cast<int>(dz.dim(1)),
                    .N = static_cast<int>(x.dim(1)),
                    .K = static_cast<int>(dz.dim(0)),
                    .transpose_a = true};
  Tensor dw = Tensor::empty({s.M, s.N}, master_type(dz.dtype()));
  with_float_type("linear", dz, [&]<class T>() {
    GradientSums sums({dw});
    gemm_wgrad<T>(sums.context(), s, dz.data<T>(), x.data<T>(), dw.mutable_data<Master<T>>());
    sums.attach();
  });
  return dw;
}

/// The sum of the rows of dz (N,O). Few rows on a CUDA device stay parts, which the optimizer adds.
Tensor bias_gradient(const Tensor& dz) {
  constexpr int64_t kMaxParts = 64;
  const int64_t rows = dz.dim(0), columns = dz.dim(1);
  if (!dz.device().is_cuda() || dz.dtype() != DType::f32 || rows < 1 || rows > kMaxParts)
    return sum_rows(dz);
  Tensor db = Tensor::empty({columns}, DType::f32);
  db.set_partial_sum(std::make_unique<PartialSum>(
      PartialSum{columns,
                 {{std::make_shared<const Tensor>(dz), dz.data<float>(), static_cast<int>(columns),
                   static_cast<int>(rows)}}}));
  return db;
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, Activation activation,
              float slope) {
  check_linear(x, w, b);
  check_activation("linear", activation, slope);
  Tensor y = product(x, w, true, b, {.activation = activation, .slope = slope});  // (N,O)
  const Tensor kept = activation == Activation::none ? Tensor() : y;
  Tape::record("linear", {x, w, b}, y,
               [=](const Tensor& dy, const NeedsInputGrad& needs_input_grad) {
                 const Tensor dz = activation_backward(activation, slope, kept, dy);  // (N,O)
                 Tensor dx, dw, db;
                 if (needs_input_grad[0]) dx = product(dz, w, false);   // (N,I)
                 if (needs_input_grad[1]) dw = weight_gradient(dz, x);  // (O,I)
                 if (needs_input_grad[2]) db = bias_gradient(dz);       // (O)
                 return std::vector<Tensor>{dx, dw, db};
               });
  return y;
}

}  // namespace assay
