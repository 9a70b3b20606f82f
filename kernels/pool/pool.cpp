#include "kernels/pool/pool.h"

#include "kernels/pointwise/fp32_edges.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pool/pool_backends.h"
#include "kernels/pool/pool_ref.h"
#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {
void check(const PoolShape& s, const char* name) {
  ASSAY_CHECK(s.window >= 1 && s.window <= 16 && s.stride >= 1,
              "{}: window {} with stride {}; a window of 1 to 16 and a stride above 0 are possible",
              name, s.window, s.stride);
  ASSAY_CHECK(s.H >= s.window && s.W >= s.window, "{}: a window of {} does not fit into {}x{}",
              name, s.window, s.H, s.W);
}
void check(const UpsampleShape& s) {
  ASSAY_CHECK(s.factor >= 1, "upsample: factor {} is below 1", s.factor);
}
int64_t inputs(const PoolShape& s) {
  return int64_t{s.N} * s.H * s.W * s.C;
}
int64_t outputs(const PoolShape& s) {
  return int64_t{s.N} * s.P() * s.Q() * s.C;
}
int64_t inputs(const UpsampleShape& s) {
  return int64_t{s.N} * s.H * s.W * s.C;
}
int64_t outputs(const UpsampleShape& s) {
  return inputs(s) * s.factor * s.factor;
}
}  // namespace

template <class T>
void max_pool_fprop(Context& ctx, const PoolShape& s, const T* x, T* y, uint8_t* argmax) {
  check(s, "max_pool");
  with_fp32_edges(ctx, x, inputs(s), y, outputs(s), [&]<class U>(const U* from, U* to) {
    ASSAY_DISPATCH(U, ctx, max_pool_fprop, s, from, to, argmax);
  });
}

template <class T>
void max_pool_bprop(Context& ctx, const PoolShape& s, const T* dy, const uint8_t* argmax, T* dx) {
  check(s, "max_pool");
  with_fp32_edges(ctx, dy, outputs(s), dx, inputs(s), [&]<class U>(const U* from, U* to) {
    ASSAY_DISPATCH(U, ctx, max_pool_bprop, s, from, argmax, to);
  });
}

template <class T>
void avg_pool_fprop(Context& ctx, const PoolShape& s, const T* x, T* y) {
  check(s, "avg_pool");
  with_fp32_edges(ctx, x, inputs(s), y, outputs(s), [&]<class U>(const U* from, U* to) {
    ASSAY_DISPATCH(U, ctx, avg_pool_fprop, s, from, to);
  });
}

template <class T>
void avg_pool_bprop(Context& ctx, const PoolShape& s, const T* dy, T* dx) {
  check(s, "avg_pool");
  with_fp32_edges(ctx, dy, outputs(s), dx, inputs(s), [&]<class U>(const U* from, U* to) {
    ASSAY_DISPATCH(U, ctx, avg_pool_bprop, s, from, to);
  });
}

template <class T>
void upsample_fprop(Context& ctx, const UpsampleShape& s, const T* x, T* y) {
  check(s);
  with_fp32_edges(ctx, x, inputs(s), y, outputs(s), [&]<class U>(const U* from, U* to) {
    ASSAY_DISPATCH(U, ctx, upsample_fprop, s, from, to);
  });
}

template <class T>
void upsample_bprop(Context& ctx, const UpsampleShape& s, const T* dy, T* dx) {
  check(s);
  with_fp32_edges(ctx, dy, outputs(s), dx, inputs(s), [&]<class U>(const U* from, U* to) {
    ASSAY_DISPATCH(U, ctx, upsample_bprop, s, from, to);
  });
}

void upsample_bprop(Context& ctx, const UpsampleShape& s, Activation activation, float slope,
                    const float* y, const float* dy, float* dx) {
  if (activation == Activation::none) return upsample_bprop<float>(ctx, s, dy, dx);
#if ASSAY_HAVE_CUDA
  if (ctx.device.is_cuda()) {
    check(s);
    return cuda::upsample_bprop(ctx, s, activation, slope, y, dy, dx);
  }
#endif
  const Scratch dz(ctx, sizeof(float) * static_cast<size_t>(outputs(s)));
  activation_bprop(ctx, activation, slope, outputs(s), y, dy, dz.as<float>());
  upsample_bprop<float>(ctx, s, dz.as<float>(), dx);
}

#define ASSAY_INSTANTIATE(T)                                                            \
  template void max_pool_fprop(Context& ctx, const PoolShape& s, const T* x, T* y,      \
                               uint8_t* argmax);                                        \
  template void max_pool_bprop(Context& ctx, const PoolShape& s, const T* dy,           \
                               const uint8_t* argmax, T* dx);                           \
  template void avg_pool_fprop(Context& ctx, const PoolShape& s, const T* x, T* y);     \
  template void avg_pool_bprop(Context& ctx, const PoolShape& s, const T* dy, T* dx);   \
  template void upsample_fprop(Context& ctx, const UpsampleShape& s, const T* x, T* y); \
  template void upsample_bprop(Context& ctx, const UpsampleShape& s, const T* dy, T* dx)
ASSAY_INSTANTIATE(float);
ASSAY_INSTANTIATE(double);
ASSAY_INSTANTIATE(bf16);
#undef ASSAY_INSTANTIATE

}  // namespace assay
