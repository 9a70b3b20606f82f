#include "kernels/conv2d/cuda/special.h"

#include "kernels/conv2d/conv2d_backends.h"
#include "kernels/conv2d/cpu/special.h"
#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/gemm/gemm_backends.h"
#include "kernels/pointwise/pointwise_backends.h"
#include "kernels/pool/pool_backends.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

using cpu::is_dense;
using cpu::without_upsampling;

/// small(n,i,j,k) = the sum of dz over the copies that the upsampling made of pixel (i,j). One
/// thread per element.
__global__ void __launch_bounds__(kThreads)
    conv2d_sum_copies(int64_t elements, Conv2dShape s, GradientOfZ dz, float* __restrict__ small) {
  const int64_t i = global_thread();
  if (i >= elements) return;
  const int k = static_cast<int>(i % s.K), w = static_cast<int>(i / s.K % s.W);
  const int64_t row = i / s.K / s.W;  // of all small pictures
  float sum = 0;
  for (int a = 0; a < s.upsample; ++a)
    for (int b = 0; b < s.upsample; ++b)
      sum += dz.behind_pool(((row * s.upsample + a) * s.W * s.upsample + w * s.upsample + b) * s.K +
                            k);
  small[i] = sum;
}

Scratch sum_copies(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                   const Conv2dGrad<float>& g) {
  const int64_t elements = int64_t{s.N} * s.H * s.W * s.K;
  Scratch small(ctx, sizeof(float) * static_cast<size_t>(elements));
  launch(conv2d_sum_copies, blocks_for(elements, kThreads), kThreads, 0, stream_of(ctx), elements,
         s, GradientOfZ(s, e, g), small.as<float>());
  return small;
}

/// dz of a dense layer: dy itself, or formed in `scratch`.
const float* dense_dz(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e,
                      const Conv2dGrad<float>& g, Scratch& scratch) {
  if (dz_is_dy(e)) return g.dy;
  const int64_t elements = int64_t{s.N} * s.K;
  scratch = Scratch(ctx, sizeof(float) * static_cast<size_t>(elements));
  activation_bprop(ctx, e.activation, e.slope, elements, g.y, g.dy, scratch.as<float>());
  return scratch.as<float>();
}

}  // namespace

namespace special {

bool applies(const Conv2dShape& s, const Conv2dEpilogue& e) {
  return (is_dense(s) && e.pool == 1) || cpu::is_pixelwise_behind_upsampling(s, e);
}

ConvAlgo rung(const Context& ctx, ConvPass pass, const Conv2dShape& s, const Conv2dEpilogue& e) {
  return is_dense(s) ? ConvAlgo::direct : cuda::conv2d_rung(ctx, pass, without_upsampling(s), e);
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Weights<float> w, const float* bias, float* y) {
  if (is_dense(s))
    return cuda::gemm(ctx, {.M = s.N, .N = s.K, .K = s.R * s.S * s.C, .transpose_b = true},
                      {.activation = e.activation, .slope = e.slope}, x, w, bias, y);
  const Scratch small(ctx, sizeof(float) * static_cast<size_t>(s.N) * s.H * s.W * s.K);
  cuda::conv2d_fprop(ctx, without_upsampling(s), e, x, w, bias, small.as<float>(), nullptr);
  cuda::upsample_fprop(ctx, {s.N, s.H, s.W, s.K, s.upsample}, small.as<float>(), y);
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           Weights<float> w, float* dx) {
  Scratch scratch;
  if (is_dense(s))
    return cuda::gemm(ctx, {.M = s.N, .N = s.R * s.S * s.C, .K = s.K}, {},
                      dense_dz(ctx, s, e, g, scratch), w, nullptr, dx);
  scratch = sum_copies(ctx, s, e, g);
  cuda::conv2d_dgrad(ctx, without_upsampling(s), {}, {scratch.as<float>()}, w, dx);
}

void wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw) {
  Scratch scratch;
  if (is_dense(s))
    return cuda::gemm(ctx, {.M = s.K, .N = s.R * s.S * s.C, .K = s.N, .transpose_a = true}, {},
                      dense_dz(ctx, s, e, g, scratch), x, nullptr, dw);
  scratch = sum_copies(ctx, s, e, g);
  cuda::conv2d_wgrad(ctx, without_upsampling(s), {}, x, {scratch.as<float>()}, dw, nullptr);
}

}  // namespace special
}  // namespace assay::cuda
