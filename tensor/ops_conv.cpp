// Convolution and transposed convolution.
#include <limits>

#include "kernels/conv2d/conv2d.h"
#include "kernels/pointwise/pointwise.h"
#include "tensor/derivatives.h"
#include "tensor/dtype.h"
#include "tensor/ops.h"

namespace assay {

namespace {

void check_filter(std::string_view op, const Tensor& x, const Tensor& w, int channels_of_w,
                  std::string_view x_layout) {
  check_rank(op, x, 4, x_layout);
  check_rank(op, w, 4, "w (K,R,S,C)");
  check_parameter(op, x, w);
  ASSAY_CHECK(x.dim(3) == w.dim(channels_of_w), "{}: x {} has {} channels but w {} wants {}", op,
              to_string(x.shape()), x.dim(3), to_string(w.shape()), w.dim(channels_of_w));
  ASSAY_CHECK(x.size() > 0 && w.size() > 0, "{}: x {} or w {} has no elements", op,
              to_string(x.shape()), to_string(w.shape()));
  ASSAY_CHECK(x.size() <= std::numeric_limits<int>::max() * int64_t{8}, "{}: x {} is too large", op,
              to_string(x.shape()));
}

void check_bias(std::string_view op, const Tensor& w, const Tensor& b, int64_t channels) {
  if (!b.defined()) return;
  check_alike(op, w, b);
  ASSAY_CHECK(b.shape() == Shape{channels},
              "{}: the bias has the shape {} but the output has {} channels", op,
              to_string(b.shape()), channels);
}

Conv2dShape conv2d_shape(const Tensor& x, const Tensor& w, const Tensor& b,
                         const Conv2dOptions& o) {
  check_filter("conv2d", x, w, 3, "x (N,H,W,C)");
  check_bias("conv2d", w, b, w.dim(0));
  ASSAY_CHECK(o.stride >= 1 && o.pad >= 0, "conv2d: stride {} and pad {} must be at least 1 and 0",
              o.stride, o.pad);
  ASSAY_CHECK(o.upsample == 1 || o.upsample == 2 || o.upsample == 4,
              "conv2d: upsample {} must be 1, 2 or 4", o.upsample);
  ASSAY_CHECK(o.pool == 1 || o.pool == 2 || o.pool == 4, "conv2d: pool {} must be 1, 2 or 4",
              o.pool);
  const Conv2dShape s{.N = static_cast<int>(x.dim(0)),
                      .H = static_cast<int>(x.dim(1)),
                      .W = static_cast<int>(x.dim(2)),
                      .C = static_cast<int>(x.dim(3)),
                      .K = static_cast<int>(w.dim(0)),
                      .R = static_cast<int>(w.dim(1)),
                      .S = static_cast<int>(w.dim(2)),
                      .stride = o.stride,
                      .pad = o.pad,
                      .upsample = o.upsample};
  ASSAY_CHECK(s.H * s.upsample + 2 * s.pad >= s.R && s.W * s.upsample + 2 * s.pad >= s.S &&
                  s.P() >= o.pool && s.Q() >= o.pool,
              "conv2d: x {} is too small for w {} and a pooling window of {}", to_string(x.shape()),
              to_string(w.shape()), o.pool);
  return s;
}

/// Shape of the convolution that maps the output of the transposed convolution to its input.
Conv2dShape transposed_shape(const Tensor& x, const Tensor& w, const Tensor& b,
                             const ConvTranspose2dOptions& o) {
  check_filter("conv_transpose2d", x, w, 0, "x (N,P,Q,K)");
  check_bias("conv_transpose2d", w, b, w.dim(3));
  ASSAY_CHECK(o.stride >= 1 && o.pad >= 0,
              "conv_transpose2d: stride {} and pad {} must be at least 1 and 0", o.stride, o.pad);
  const auto side = [&](int64_t p, int64_t r) {
    return static_cast<int>((p - 1) * o.stride - 2 * o.pad + r);
  };
  const Conv2dShape s{.N = static_cast<int>(x.dim(0)),
                      .H = side(x.dim(1), w.dim(1)),
                      .W = side(x.dim(2), w.dim(2)),
                      .C = static_cast<int>(w.dim(3)),
                      .K = static_cast<int>(w.dim(0)),
                      .R = static_cast<int>(w.dim(1)),
                      .S = static_cast<int>(w.dim(2)),
                      .stride = o.stride,
                      .pad = o.pad};
  ASSAY_CHECK(s.H >= 1 && s.W >= 1, "conv_transpose2d: x {} and w {} leave no output",
              to_string(x.shape()), to_string(w.shape()));
  return s;
}

template <class T>
Weights<Master<T>> weights(const Tensor& w) {
  return {w.data<Master<T>>(), w.version()};
}

struct Conv2dOutput {
  Tensor y, argmax;
};

Conv2dOutput fprop(const Conv2dShape& s, const Conv2dEpilogue& e, const Tensor& x, const Tensor& w,
                   const Tensor& b, bool keep_argmax) {
  const Shape shape{s.N, s.P() / e.pool, s.Q() / e.pool, s.K};
  Conv2dOutput out{Tensor::empty(shape, x.dtype()), {}};
  if (keep_argmax && e.pool > 1) out.argmax = Tensor::empty(shape, DType::u8);
  with_float_type("conv2d", x, [&]<class T>() {
    conv2d_fprop<T>(current_context(), s, e, x.data<T>(), weights<T>(w), data_or_null<Master<T>>(b),
                    out.y.mutable_data<T>(),
                    out.argmax.defined() ? out.argmax.mutable_data<uint8_t>() : nullptr);
  });
  return out;
}

template <class T>
Conv2dGrad<T> output_grad(const Conv2dEpilogue& e, const Conv2dOutput& out, const Tensor& dy) {
  return {.dy = dy.data<T>(),
          .y = e.activation == Activation::none ? nullptr : out.y.data<T>(),
          .argmax = data_or_null<uint8_t>(out.argmax)};
}

Tensor dgrad(const Conv2dShape& s, const Conv2dEpilogue& e, const Conv2dOutput& out,
             const Tensor& dy, const Tensor& w) {
  Tensor dx = Tensor::empty({s.N, s.H, s.W, s.C}, dy.dtype());
  with_float_type("conv2d", dy, [&]<class T>() {
    conv2d_dgrad<T>(current_context(), s, e, output_grad<T>(e, out, dy), weights<T>(w),
                    dx.mutable_data<T>());
  });
  return dx;
}

struct FilterGrad {
  Tensor dw, db;
};

FilterGrad wgrad(const Conv2dShape& s, const Conv2dEpilogue& e, const Conv2dOutput& out,
                 const Tensor& x, const Tensor& dy, bool with_bias) {
  const DType type = master_type(dy.dtype());
  FilterGrad g{Tensor::empty({s.K, s.R, s.S, s.C}, type), {}};
  if (with_bias) g.db = Tensor::empty({s.K}, type);
  with_float_type("conv2d", dy, [&]<class T>() {
    Master<T>* const dw = g.dw.mutable_data<Master<T>>();
    Master<T>* const db = with_bias ? g.db.mutable_data<Master<T>>() : nullptr;
    GradientSums sums({g.dw, g.db});
    conv2d_wgrad<T>(sums.context(), s, e, x.data<T>(), output_grad<T>(e, out, dy), dw, db);
    sums.attach();
  });
  return g;
}

/// Both gradients. // dx, dw, db
std::vector<Tensor> bprop(const Conv2dShape& s, const Conv2dEpilogue& e, const Conv2dOutput& out,
                          const Tensor& x, const Tensor& w, const Tensor& dy, bool with_bias) {
  const DType type = master_type(dy.dtype());
  Tensor dx = Tensor::empty({s.N, s.H, s.W, s.C}, dy.dtype());
  Tensor dw = Tensor::empty({s.K, s.R, s.S, s.C}, type), db;
  if (with_bias) db = Tensor::empty({s.K}, type);
  with_float_type("conv2d", dy, [&]<class T>() {
    GradientSums sums({dw, db});
    conv2d_bprop<T>(sums.context(), s, e, x.data<T>(), output_grad<T>(e, out, dy), weights<T>(w),
                    dx.mutable_data<T>(), dw.mutable_data<Master<T>>(),
                    with_bias ? db.mutable_data<Master<T>>() : nullptr);
    sums.attach();
  });
  return {dx, dw, db};
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dOptions& o) {
  const Conv2dShape s = conv2d_shape(x, w, b, o);
  check_activation("conv2d", o.activation, o.slope, o.pool);
  const Conv2dEpilogue e{o.activation, o.slope, o.pool};
  const Conv2dOutput out = fprop(s, e, x, w, b, Tape::records({x, w, b}));
  Tensor y = out.y;
  Tape::record("conv2d", {x, w, b}, y,
               [=](const Tensor& dy, const NeedsInputGrad& needs_input_grad) {
                 const bool of_filter = needs_input_grad[1] || needs_input_grad[2];
                 if (needs_input_grad[0] && of_filter)
                   return bprop(s, e, out, x, w, dy, needs_input_grad[2]);
                 Tensor dx;
                 FilterGrad g;
                 if (needs_input_grad[0]) dx = dgrad(s, e, out, dy, w);
                 if (of_filter) g = wgrad(s, e, out, x, dy, needs_input_grad[2]);
                 return std::vector<Tensor>{dx, g.dw, g.db};
               });
  return y;
}

// The transpose of the convolution s, which maps (N,H,W,C) to (N,P,Q,K): its forward pass is the
// dgrad of s, its input gradient the fprop, its filter gradient the wgrad with x and dy exchanged.
Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const Tensor& b,
                        const ConvTranspose2dOptions& o) {
  const Conv2dShape s = transposed_shape(x, w, b, o);
  check_activation("conv_transpose2d", o.activation, o.slope);
  const int64_t rows = int64_t{s.N} * s.H * s.W;
  Tensor y = dgrad(s, {}, {}, x, w);
  with_float_type("conv_transpose2d", x, [&]<class T>() {
    T* elements = y.mutable_data<T>();
    if (b.defined())
      bias_activation<T>(current_context(), o.activation, o.slope, rows, s.C, elements,
                         b.data<Master<T>>(), elements);
    else if (o.activation != Activation::none)
      activation_fprop<T>(current_context(), o.activation, o.slope, y.size(), elements, elements);
  });
  const Tensor kept = y;
  Tape::record("conv_transpose2d", {x, w, b}, y,
               [=](const Tensor& dy, const NeedsInputGrad& needs_input_grad) {
                 const Tensor dz = activation_backward(o.activation, o.slope, kept, dy);
                 Tensor dx, dw, db;
                 if (needs_input_grad[0]) dx = fprop(s, {}, dz, w, {}, false).y;
                 if (needs_input_grad[1]) dw = wgrad(s, {}, {}, dz, x, false).dw;
                 if (needs_input_grad[2]) db = sum_rows(dz);
                 return std::vector<Tensor>{dx, dw, db};
               });
  return y;
}

}  // namespace assay
