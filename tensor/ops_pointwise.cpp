// Operations element by element, and sums.
#include "kernels/pointwise/pointwise.h"
#include "kernels/reduce/reduce.h"
#include "tensor/derivatives.h"
#include "tensor/dtype.h"
#include "tensor/ops.h"

namespace assay {

Tensor activation_backward(Activation a, float slope, const Tensor& y, const Tensor& dy) {
  if (a == Activation::none) return dy;
  Tensor dz = Tensor::empty(dy.shape(), dy.dtype());
  with_float_type("activation", dy, [&]<class T>() {
    activation_bprop<T>(current_context(), a, slope, dy.size(), y.data<T>(), dy.data<T>(),
                        dz.mutable_data<T>());
  });
  return dz;
}

Tensor sum_rows(const Tensor& x) {
  const int64_t C = x.dim(-1);
  Tensor sums = Tensor::empty({C}, master_type(x.dtype()));
  with_float_type("sum_rows", x, [&]<class T>() {
    reduce_columns<T>(current_context(), C > 0 ? x.size() / C : 0, static_cast<int>(C), x.data<T>(),
                      sums.mutable_data<Master<T>>());
  });
  return sums;
}

namespace {

std::vector<const float*> arrays_of(const std::vector<Tensor>& gradients) {
  std::vector<const float*> arrays;
  for (const Tensor& t : gradients)
    arrays.push_back(t.defined() && t.dtype() == DType::f32 ? t.data<float>() : nullptr);
  return arrays;
}

}  // namespace

GradientSums::GradientSums(std::vector<Tensor> gradients)
    : gradients_(std::move(gradients)), context_(current_context()), sums_(arrays_of(gradients_)) {
  context_.unfinished = &sums_;
}

void GradientSums::attach() {
  for (const Tensor& t : gradients_) {
    if (!t.defined() || t.dtype() != DType::f32) continue;
    if (std::unique_ptr<PartialSum> sum = sums_.take(t.data<float>()))
      t.set_partial_sum(std::move(sum));
  }
}

Tensor scaled(const Tensor& x, const Tensor& factor) {
  if (factor.unwritten_constant() == 1.0) return x;
  // Reading the factor costs nothing on the CPU; on a CUDA device it would wait for the device.
  if (!factor.device().is_cuda() && factor.item() == 1) return x;
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float_type("scaled", x, [&]<class T>() {
    scale<T>(current_context(), x.size(), factor.data<Master<T>>(), x.data<T>(),
             y.mutable_data<T>());
  });
  return y;
}

Tensor activation(const Tensor& x, Activation a, float slope) {
  check_activation("activation", a, slope);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float_type("activation", x, [&]<class T>() {
    activation_fprop<T>(current_context(), a, slope, x.size(), x.data<T>(), y.mutable_data<T>());
  });
  const Tensor kept = y;
  Tape::record("activation", {x}, y, [=](const Tensor& dy, const NeedsInputGrad&) {
    return std::vector<Tensor>{activation_backward(a, slope, kept, dy)};
  });
  return y;
}

Tensor relu(const Tensor& x) {
  return activation(x, Activation::relu);
}
Tensor leaky_relu(const Tensor& x, float slope) {
  return activation(x, Activation::leaky_relu, slope);
}
Tensor sigmoid(const Tensor& x) {
  return activation(x, Activation::sigmoid);
}
Tensor tanh(const Tensor& x) {
  return activation(x, Activation::tanh);
}

Tensor add(const Tensor& a, const Tensor& b) {
  check_same_shape("add", a, b);
  Tensor y = Tensor::empty(a.shape(), a.dtype());
  with_float_type("add", a, [&]<class T>() {
    add<T>(current_context(), a.size(), a.data<T>(), b.data<T>(), y.mutable_data<T>());
  });
  Tape::record("add", {a, b}, y, [](const Tensor& dy, const NeedsInputGrad&) {
    return std::vector<Tensor>{dy, dy};
  });
  return y;
}

Tensor subtract(const Tensor& a, const Tensor& b) {
  check_same_shape("subtract", a, b);
  Tensor y = Tensor::empty(a.shape(), a.dtype());
  with_float_type("subtract", a, [&]<class T>() {
    subtract<T>(current_context(), a.size(), a.data<T>(), b.data<T>(), y.mutable_data<T>());
  });
  Tape::record("subtract", {a, b}, y, [](const Tensor& dy, const NeedsInputGrad& needs_input_grad) {
    return std::vector<Tensor>{dy, needs_input_grad[1] ? affine(dy, -1, 0) : Tensor()};
  });
  return y;
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  check_same_shape("multiply", a, b);
  Tensor y = Tensor::empty(a.shape(), a.dtype());
  with_float_type("multiply", a, [&]<class T>() {
    multiply<T>(current_context(), a.size(), a.data<T>(), b.data<T>(), y.mutable_data<T>());
  });
  Tape::record("multiply", {a, b}, y,
               [a, b](const Tensor& dy, const NeedsInputGrad& needs_input_grad) {
                 return std::vector<Tensor>{needs_input_grad[0] ? multiply(dy, b) : Tensor(),
                                            needs_input_grad[1] ? multiply(dy, a) : Tensor()};
               });
  return y;
}

Tensor affine(const Tensor& x, double scale, double shift) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float_type("affine", x, [&]<class T>() {
    affine<T>(current_context(), x.size(), static_cast<Master<T>>(scale),
              static_cast<Master<T>>(shift), x.data<T>(), y.mutable_data<T>());
  });
  Tape::record("affine", {x}, y, [scale](const Tensor& dy, const NeedsInputGrad&) {
    return std::vector<Tensor>{affine(dy, scale, 0)};
  });
  return y;
}

Tensor sum(const Tensor& x) {
  Tensor y = Tensor::empty({1}, master_type(x.dtype()));
  with_float_type("sum", x, [&]<class T>() {
    reduce_sum<T>(current_context(), x.size(), x.data<T>(), y.mutable_data<Master<T>>());
  });
  Tape::record("sum", {x}, y,
               [shape = x.shape(), type = x.dtype()](const Tensor& dy, const NeedsInputGrad&) {
                 return std::vector<Tensor>{scaled(Tensor::full(shape, 1, type), dy)};
               });
  return y;
}

Tensor mean(const Tensor& x) {
  ASSAY_CHECK(x.size() > 0, "mean: the tensor {} has no elements", to_string(x.shape()));
  return affine(sum(x), 1.0 / static_cast<double>(x.size()), 0);
}

}  // namespace assay
