// Version 1: one thread per result, with the loops of conv2d_ref.h over its summands. It covers
// the whole contract; every product costs two loads from the caches.
#include "kernels/conv2d/cuda/algorithms.h"
#include "kernels/conv2d/cuda/dz.cuh"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

/// Blocks that shall fit on a multiprocessor: at most 64 registers a thread.
[[maybe_unused]] constexpr int kBlocks = 4;

/// Rows h = h0 + r of the upsampled image under a filter column r, clipped to the image.
struct Taps {
  int first, end;
};
__device__ Taps taps_inside(int h0, int filter, int height) {
  const int last = height - h0;
  return {h0 < 0 ? -h0 : 0, last < filter ? last : filter};
}

/// z(n,p,q,k) without the bias.
__device__ float product(const Conv2dShape& s, const float* x, const float* w, int64_t n, int p,
                         int q, int k) {
  const int h0 = p * s.stride - s.pad, w0 = q * s.stride - s.pad;
  const Taps rows = taps_inside(h0, s.R, s.H * s.upsample);
  const Taps columns = taps_inside(w0, s.S, s.W * s.upsample);
  float sum = 0;
  for (int r = rows.first; r < rows.end; ++r)
    for (int t = columns.first; t < columns.end; ++t) {
      const float* pixel =
          x + ((n * s.H + (h0 + r) / s.upsample) * s.W + (w0 + t) / s.upsample) * s.C;
      const float* filter = w + ((int64_t{k} * s.R + r) * s.S + t) * s.C;
      for (int c = 0; c < s.C; ++c) sum = fmaf(pixel[c], filter[c], sum);
    }
  return sum;
}

/// One thread per element of y.
__global__ void __launch_bounds__(kThreads, kBlocks)
    conv2d_fprop_naive(int64_t outputs, Conv2dShape s, Conv2dEpilogue e,
                       const float* __restrict__ x, const float* __restrict__ w,
                       const float* __restrict__ bias, float* __restrict__ y,
                       uint8_t* __restrict__ argmax) {
  const int64_t i = global_thread();
  if (i >= outputs) return;
  const int rows = s.P() / e.pool, columns = s.Q() / e.pool;
  const int k = static_cast<int>(i % s.K), j = static_cast<int>(i / s.K % columns);
  const int64_t row = i / s.K / columns;  // of all images
  float best = 0;
  int place = 0;
  for (int a = 0; a < e.pool; ++a)
    for (int b = 0; b < e.pool; ++b) {
      const float z = product(s, x, w, row / rows, static_cast<int>(row % rows) * e.pool + a,
                              j * e.pool + b, k);
      if (a + b == 0 || z > best) {
        best = z;
        place = a * e.pool + b;
      }
    }
  if (bias != nullptr) best += bias[k];
  y[i] = activate(e.activation, e.slope, best);
  if (argmax != nullptr) argmax[i] = static_cast<uint8_t>(place);
}

/// One thread per element of dx.
__global__ void __launch_bounds__(kThreads, kBlocks)
    conv2d_dgrad_naive(int64_t inputs, Conv2dShape s, GradientOfZ dz, const float* __restrict__ w,
                       float* __restrict__ dx) {
  const int64_t i = global_thread();
  if (i >= inputs) return;
  const int P = s.P(), Q = s.Q();
  const int c = static_cast<int>(i % s.C), column = static_cast<int>(i / s.C % s.W);
  const int64_t row = i / s.C / s.W;
  const int64_t n = row / s.H;
  const int h = static_cast<int>(row % s.H);
  float sum = 0;
  // z(p,q) reads upsampled row h*u + a through tap r if p*stride - pad + r is that row; columns
  // likewise.
  for (int r = 0; r < s.R; ++r)
    for (int a = 0; a < s.upsample; ++a) {
      const int above = h * s.upsample + a + s.pad - r;
      if (above < 0 || above % s.stride != 0 || above / s.stride >= P) continue;
      for (int t = 0; t < s.S; ++t)
        for (int b = 0; b < s.upsample; ++b) {
          const int left = column * s.upsample + b + s.pad - t;
          if (left < 0 || left % s.stride != 0 || left / s.stride >= Q) continue;
          for (int k = 0; k < s.K; ++k)
            sum = fmaf(dz(n, above / s.stride, left / s.stride, k),
                       w[((int64_t{k} * s.R + r) * s.S + t) * s.C + c], sum);
        }
    }
  dx[i] = sum;
}

/// One thread per element of dw.
__global__ void __launch_bounds__(kThreads, kBlocks)
    conv2d_wgrad_naive(int64_t weights, Conv2dShape s, const float* __restrict__ x, GradientOfZ dz,
                       float* __restrict__ dw) {
  const int64_t i = global_thread();
  if (i >= weights) return;
  const int P = s.P(), Q = s.Q();
  const int c = static_cast<int>(i % s.C), t = static_cast<int>(i / s.C % s.S);
  const int r = static_cast<int>(i / s.C / s.S % s.R), k = static_cast<int>(i / s.C / s.S / s.R);
  float sum = 0;
  for (int64_t n = 0; n < s.N; ++n)
    for (int p = 0; p < P; ++p) {
      const int h = p * s.stride - s.pad + r;
      if (h < 0 || h >= s.H * s.upsample) continue;
      for (int q = 0; q < Q; ++q) {
        const int column = q * s.stride - s.pad + t;
        if (column < 0 || column >= s.W * s.upsample) continue;
        const int64_t pixel = (n * s.H + h / s.upsample) * s.W + column / s.upsample;
        sum = fmaf(dz(n, p, q, k), x[pixel * s.C + c], sum);
      }
    }
  dw[i] = sum;
}

}  // namespace

namespace naive {

Coverage covers(const Context&, ConvPass, const Conv2dShape&, const Conv2dEpilogue&) {
  return Coverage::yes();
}

void fprop(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           const float* w, const float* bias, float* y, uint8_t* argmax) {
  const int64_t outputs = int64_t{s.N} * (s.P() / e.pool) * (s.Q() / e.pool) * s.K;
  launch(conv2d_fprop_naive, blocks_for(outputs, kThreads), kThreads, 0, stream_of(ctx), outputs, s,
         e, x, w, bias, y, argmax);
}

void dgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, Conv2dGrad<float> g,
           const float* w, float* dx) {
  const int64_t inputs = int64_t{s.N} * s.H * s.W * s.C;
  launch(conv2d_dgrad_naive, blocks_for(inputs, kThreads), kThreads, 0, stream_of(ctx), inputs, s,
         GradientOfZ(s, e, g), w, dx);
}

bool wgrad(Context& ctx, const Conv2dShape& s, const Conv2dEpilogue& e, const float* x,
           Conv2dGrad<float> g, float* dw, float*) {
  const int64_t weights = int64_t{s.K} * s.R * s.S * s.C;
  launch(conv2d_wgrad_naive, blocks_for(weights, kThreads), kThreads, 0, stream_of(ctx), weights, s,
         x, GradientOfZ(s, e, g), dw);
  return false;
}

}  // namespace naive
}  // namespace assay::cuda
