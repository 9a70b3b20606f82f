// Pooling and upsampling as separate operations.
#include "kernels/pool/pool.h"
#include "tensor/dtype.h"
#include "tensor/ops.h"

namespace assay {

namespace {

PoolShape pool_shape(std::string_view op, const Tensor& x, int window, int stride) {
  check_rank(op, x, 4, "x (N,H,W,C)");
  ASSAY_CHECK(window >= 1 && window <= 16 && stride >= 1,
              "{}: window {} must be 1 to 16 and stride {} at least 1", op, window, stride);
  ASSAY_CHECK(x.dim(1) >= window && x.dim(2) >= window, "{}: x {} is smaller than the window of {}",
              op, to_string(x.shape()), window);
  return {.N = static_cast<int>(x.dim(0)),
          .H = static_cast<int>(x.dim(1)),
          .W = static_cast<int>(x.dim(2)),
          .C = static_cast<int>(x.dim(3)),
          .window = window,
          .stride = stride};
}

}  // namespace

Tensor max_pool2d(const Tensor& x, int window, int stride) {
  const PoolShape s = pool_shape("max_pool2d", x, window, stride);
  const Shape shape{s.N, s.P(), s.Q(), s.C};
  Tensor y = Tensor::empty(shape, x.dtype()), argmax;
  if (Tape::records({x})) argmax = Tensor::empty(shape, DType::u8);
  with_float_type("max_pool2d", x, [&]<class T>() {
    max_pool_fprop<T>(current_context(), s, x.data<T>(), y.mutable_data<T>(),
                      argmax.defined() ? argmax.mutable_data<uint8_t>() : nullptr);
  });
  Tape::record("max_pool2d", {x}, y, [s, argmax](const Tensor& dy, const NeedsInputGrad&) {
    const Tensor dx = Tensor::empty({s.N, s.H, s.W, s.C}, dy.dtype());
    with_float_type("max_pool2d", dy, [&]<class T>() {
      max_pool_bprop<T>(current_context(), s, dy.data<T>(), argmax.data<uint8_t>(),
                        dx.mutable_data<T>());
    });
    return std::vector<Tensor>{dx};
  });
  return y;
}

Tensor avg_pool2d(const Tensor& x, int window, int stride) {
  const PoolShape s = pool_shape("avg_pool2d", x, window, stride);
  Tensor y = Tensor::empty({s.N, s.P(), s.Q(), s.C}, x.dtype());
  with_float_type("avg_pool2d", x, [&]<class T>() {
    avg_pool_fprop<T>(current_context(), s, x.data<T>(), y.mutable_data<T>());
  });
  Tape::record("avg_pool2d", {x}, y, [s](const Tensor& dy, const NeedsInputGrad&) {
    const Tensor dx = Tensor::empty({s.N, s.H, s.W, s.C}, dy.dtype());
    with_float_type("avg_pool2d", dy, [&]<class T>() {
      avg_pool_bprop<T>(current_context(), s, dy.data<T>(), dx.mutable_data<T>());
    });
    return std::vector<Tensor>{dx};
  });
  return y;
}

Tensor upsample2d(const Tensor& x, int factor) {
  check_rank("upsample2d", x, 4, "x (N,H,W,C)");
  ASSAY_CHECK(factor >= 1, "upsample2d: factor {} must be at least 1", factor);
  const UpsampleShape s{static_cast<int>(x.dim(0)), static_cast<int>(x.dim(1)),
                        static_cast<int>(x.dim(2)), static_cast<int>(x.dim(3)), factor};
  Tensor y = Tensor::empty({s.N, s.H * factor, s.W * factor, s.C}, x.dtype());
  with_float_type("upsample2d", x, [&]<class T>() {
    upsample_fprop<T>(current_context(), s, x.data<T>(), y.mutable_data<T>());
  });
  Tape::record("upsample2d", {x}, y, [s](const Tensor& dy, const NeedsInputGrad&) {
    const Tensor dx = Tensor::empty({s.N, s.H, s.W, s.C}, dy.dtype());
    with_float_type("upsample2d", dy, [&]<class T>() {
      upsample_bprop<T>(current_context(), s, dy.data<T>(), dx.mutable_data<T>());
    });
    return std::vector<Tensor>{dx};
  });
  return y;
}

}  // namespace assay
