#include "kernels/conv2d/lowering.h"

#include "kernels/gemm/gemm.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"
#include "kernels/runtime/error.h"

namespace assay {
namespace {

Scratch floats(Context& ctx, int64_t count) {
  return {ctx, sizeof(float) * static_cast<size_t>(count)};
}

/// dz of a layer without a pool: dy itself, or dy f'(y) in scratch memory.
class WholeDz {
 public:
  WholeDz(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const Conv2dGrad<float>& g)
      : dz_(g.dy) {
    if (e.activation == Activation::none) return;
    const int64_t elements = int64_t{s.N} * s.P() * s.Q() * s.K;
    scratch_ = floats(ctx, elements);
    activation_bprop(ctx, e.activation, e.slope, elements, g.y, g.dy, scratch_.as<float>());
    dz_ = scratch_.as<float>();
  }
  const float* get() const { return dz_; }

 private:
  Scratch scratch_;
  const float* dz_;
};

/// The sum of dz over the copies that the upsampling made of each small pixel.
Scratch summed_dz(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                  const Conv2dGrad<float>& g) {
  Scratch small = floats(ctx, int64_t{s.N} * s.H * s.W * s.K);
  upsample_bprop(ctx, {s.N, s.H, s.W, s.K, s.upsample}, e.activation, e.slope, g.y, g.dy,
                 small.as<float>());
  return small;
}

Scratch upsampled_x(Context& ctx, const Conv2dShape& s, const float* x) {
  const Conv2dShape big = on_upsampled_image(s);
  Scratch copy = floats(ctx, int64_t{big.N} * big.H * big.W * big.C);
  upsample_fprop(ctx, {s.N, s.H, s.W, s.C, s.upsample}, x, copy.as<float>());
  return copy;
}

}  // namespace

Lowering lowering_of(const Conv2dShape& s, const Conv2dEpilogue& e) {
  if (s.upsample > 1) {
    if (s.stride > 1 || e.pool > 1) return Lowering::upsampled_image;
    return s.R == 1 && s.S == 1 && s.pad == 0 ? Lowering::small_image : Lowering::none;
  }
  return s.R == s.H && s.S == s.W && s.pad == 0 && e.pool == 1 ? Lowering::gemm : Lowering::none;
}

const char* reason_of(Lowering lowering) {
  switch (lowering) {
    case Lowering::gemm:
      return "a matrix product: the filter is as large as the image";
    case Lowering::small_image:
      return "on the image before the upsampling, with which a 1x1 filter commutes";
    case Lowering::upsampled_image:
      return "on an upsampled copy: an upsampling with a stride or a pool";
    default:
      return "";
  }
}

Conv2dShape on_small_image(Conv2dShape s) {
  s.upsample = 1;
  return s;
}

Conv2dShape on_upsampled_image(Conv2dShape s) {
  s.H *= s.upsample;
  s.W *= s.upsample;
  s.upsample = 1;
  return s;
}

Conv2dShape lowered_shape(Lowering lowering, const Conv2dShape& s) {
  if (lowering == Lowering::small_image) return on_small_image(s);
  if (lowering == Lowering::upsampled_image) return on_upsampled_image(s);
  return s;
}

GemmShape gemm_of(ConvPass pass, const Conv2dShape& s) {
  const int filter = s.R * s.S * s.C;
  switch (pass) {
    case ConvPass::fprop:
      return {.M = s.N, .N = s.K, .K = filter, .transpose_b = true};
    case ConvPass::dgrad:
      return {.M = s.N, .N = filter, .K = s.K};
    default:
      return {.M = s.K, .N = filter, .K = s.N, .transpose_a = true};
  }
}

void lowered_fprop(Context& ctx, Lowering lowering, const Conv2dShape& s, const Conv2dEpilogue& e,
                   const float* x, Weights<float> w, const float* bias, float* y, uint8_t* argmax) {
  const Conv2dShape inner = lowered_shape(lowering, s);
  if (lowering == Lowering::gemm)
    return gemm<float>(ctx, gemm_of(ConvPass::fprop, s),
                       {.activation = e.activation, .slope = e.slope}, x, w, bias, y);
  if (lowering == Lowering::upsampled_image)
    return conv2d_fprop<float>(ctx, inner, e, upsampled_x(ctx, s, x).as<float>(), w, bias, y,
                               argmax);
  const Scratch small = floats(ctx, int64_t{s.N} * s.H * s.W * s.K);
  conv2d_fprop<float>(ctx, inner, e, x, w, bias, small.as<float>(), nullptr);
  upsample_fprop(ctx, {s.N, s.H, s.W, s.K, s.upsample}, small.as<float>(), y);
}

void lowered_dgrad(Context& ctx, Lowering lowering, const Conv2dShape& s, const Conv2dEpilogue& e,
                   Conv2dGrad<float> g, Weights<float> w, float* dx) {
  const Conv2dShape inner = lowered_shape(lowering, s);
  if (lowering == Lowering::gemm)
    return gemm<float>(ctx, gemm_of(ConvPass::dgrad, s), {}, WholeDz(ctx, s, e, g).get(), w,
                       nullptr, dx);
  if (lowering == Lowering::small_image)
    return conv2d_dgrad<float>(ctx, inner, {}, {summed_dz(ctx, s, e, g).as<float>()}, w, dx);
  const Scratch copies = floats(ctx, int64_t{inner.N} * inner.H * inner.W * inner.C);
  conv2d_dgrad<float>(ctx, inner, e, g, w, copies.as<float>());
  upsample_bprop(ctx, {s.N, s.H, s.W, s.C, s.upsample}, copies.as<float>(), dx);
}

void lowered_wgrad(Context& ctx, Lowering lowering, const Conv2dShape& s, const Conv2dEpilogue& e,
                   const float* x, Conv2dGrad<float> g, float* dw, float* dbias) {
  const Conv2dShape inner = lowered_shape(lowering, s);
  if (lowering == Lowering::gemm) {
    const WholeDz dz(ctx, s, e, g);
    gemm<float>(ctx, gemm_of(ConvPass::wgrad, s), {}, dz.get(), x, nullptr, dw);
    if (dbias != nullptr) reduce_columns(ctx, s.N, s.K, dz.get(), dbias);
    return;
  }
  if (lowering == Lowering::small_image)
    return conv2d_wgrad<float>(ctx, inner, {}, x, {summed_dz(ctx, s, e, g).as<float>()}, dw, dbias);
  conv2d_wgrad<float>(ctx, inner, e, upsampled_x(ctx, s, x).as<float>(), g, dw, dbias);
}

void small_image_bprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
                       Conv2dGrad<float> g, Weights<float> w, float* dx, float* dw, float* dbias) {
  const Conv2dShape inner = on_small_image(s);
  const Scratch dz = summed_dz(ctx, s, e, g);
  conv2d_dgrad<float>(ctx, inner, {}, {dz.as<float>()}, w, dx);
  conv2d_wgrad<float>(ctx, inner, {}, x, {dz.as<float>()}, dw, dbias);
}

}  // namespace assay
