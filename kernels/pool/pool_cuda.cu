// Pooling and upsampling on a CUDA device. Forward, a thread computes one output. Backward, a
// thread gathers the gradients of one input from the windows that contain it, without atomics.
#include "kernels/pool/pool_backends.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

/// The coordinates of element i of a (., H, W, C) tensor.
struct Place {
  int64_t n;
  int h, w, c;
};
__device__ Place place_of(int64_t i, int H, int W, int C) {
  const int c = static_cast<int>(i % C);
  i /= C;
  const int w = static_cast<int>(i % W);
  i /= W;
  return {i / H, static_cast<int>(i % H), w, c};
}
__device__ int64_t index_of(int64_t n, int h, int w, int c, int H, int W, int C) {
  return ((n * H + h) * W + w) * C + c;
}

/// Windows [first, end), of `count`, that contain position i of a line.
struct Windows {
  int first, end;
};
__device__ Windows windows_over(int i, int window, int stride, int count) {
  const int first = i < window ? 0 : (i - window) / stride + 1, last = i / stride;
  return {first, last < count ? last + 1 : count};
}

__global__ void __launch_bounds__(kThreads)
    max_pool_forward(int64_t outputs, PoolShape s, const float* __restrict__ x,
                     float* __restrict__ y, uint8_t* __restrict__ argmax) {
  const int64_t i = global_thread();
  if (i >= outputs) return;
  const Place at = place_of(i, s.P(), s.Q(), s.C);
  float best = 0;
  int best_place = 0;
  for (int a = 0; a < s.window; ++a)
    for (int b = 0; b < s.window; ++b) {
      const float v =
          x[index_of(at.n, at.h * s.stride + a, at.w * s.stride + b, at.c, s.H, s.W, s.C)];
      if (a + b == 0 || v > best) {
        best = v;
        best_place = a * s.window + b;
      }
    }
  y[i] = best;
  if (argmax != nullptr) argmax[i] = static_cast<uint8_t>(best_place);
}

__global__ void __launch_bounds__(kThreads)
    max_pool_backward(int64_t inputs, PoolShape s, const float* __restrict__ dy,
                      const uint8_t* __restrict__ argmax, float* __restrict__ dx) {
  const int64_t i = global_thread();
  if (i >= inputs) return;
  const Place at = place_of(i, s.H, s.W, s.C);
  const Windows rows = windows_over(at.h, s.window, s.stride, s.P());
  const Windows columns = windows_over(at.w, s.window, s.stride, s.Q());
  float sum = 0;
  for (int p = rows.first; p < rows.end; ++p)
    for (int q = columns.first; q < columns.end; ++q) {
      const int64_t out = index_of(at.n, p, q, at.c, s.P(), s.Q(), s.C);
      const int place = (at.h - p * s.stride) * s.window + at.w - q * s.stride;
      if (argmax[out] == place) sum += dy[out];
    }
  dx[i] = sum;
}

__global__ void __launch_bounds__(kThreads)
    avg_pool_forward(int64_t outputs, PoolShape s, const float* __restrict__ x,
                     float* __restrict__ y) {
  const int64_t i = global_thread();
  if (i >= outputs) return;
  const Place at = place_of(i, s.P(), s.Q(), s.C);
  float sum = 0;
  for (int a = 0; a < s.window; ++a)
    for (int b = 0; b < s.window; ++b)
      sum += x[index_of(at.n, at.h * s.stride + a, at.w * s.stride + b, at.c, s.H, s.W, s.C)];
  y[i] = sum / static_cast<float>(s.window * s.window);
}

__global__ void __launch_bounds__(kThreads)
    avg_pool_backward(int64_t inputs, PoolShape s, const float* __restrict__ dy,
                      float* __restrict__ dx) {
  const int64_t i = global_thread();
  if (i >= inputs) return;
  const Place at = place_of(i, s.H, s.W, s.C);
  const Windows rows = windows_over(at.h, s.window, s.stride, s.P());
  const Windows columns = windows_over(at.w, s.window, s.stride, s.Q());
  float sum = 0;
  for (int p = rows.first; p < rows.end; ++p)
    for (int q = columns.first; q < columns.end; ++q)
      sum += dy[index_of(at.n, p, q, at.c, s.P(), s.Q(), s.C)];
  dx[i] = sum / static_cast<float>(s.window * s.window);
}

__global__ void __launch_bounds__(kThreads)
    upsample_forward(int64_t outputs, UpsampleShape s, const float* __restrict__ x,
                     float* __restrict__ y) {
  const int64_t i = global_thread();
  if (i >= outputs) return;
  const Place at = place_of(i, s.H * s.factor, s.W * s.factor, s.C);
  y[i] = x[index_of(at.n, at.h / s.factor, at.w / s.factor, at.c, s.H, s.W, s.C)];
}

/// A gradient as it lies in memory.
struct PlainGradient {
  const float* dy;
  __device__ float operator()(int64_t i) const { return dy[i]; }
};
/// dy f'(y).
struct ActivatedGradient {
  const float* dy;
  const float* y;
  Activation activation;
  float slope;
  __device__ float operator()(int64_t i) const {
    return dy[i] * activation_slope(activation, slope, y[i]);
  }
};

template <class Gradient>
__global__ void __launch_bounds__(kThreads)
    upsample_backward(int64_t inputs, UpsampleShape s, Gradient gradient, float* __restrict__ dx) {
  const int64_t i = global_thread();
  if (i >= inputs) return;
  const Place at = place_of(i, s.H, s.W, s.C);
  float sum = 0;
  for (int a = 0; a < s.factor; ++a)
    for (int b = 0; b < s.factor; ++b)
      sum += gradient(index_of(at.n, at.h * s.factor + a, at.w * s.factor + b, at.c, s.H * s.factor,
                               s.W * s.factor, s.C));
  dx[i] = sum;
}

int64_t inputs_of(const PoolShape& s) {
  return int64_t{s.N} * s.H * s.W * s.C;
}
int64_t outputs_of(const PoolShape& s) {
  return int64_t{s.N} * s.P() * s.Q() * s.C;
}

/// One thread per element.
template <class... Parameters, class... Arguments>
void launch_elements(Context& ctx, void (*kernel)(int64_t, Parameters...), int64_t n,
                     const Arguments&... arguments) {
  launch(kernel, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, arguments...);
}

}  // namespace

void max_pool_fprop(Context& ctx, const PoolShape& s, const float* x, float* y, uint8_t* argmax) {
  launch_elements(ctx, max_pool_forward, outputs_of(s), s, x, y, argmax);
}

void max_pool_bprop(Context& ctx, const PoolShape& s, const float* dy, const uint8_t* argmax,
                    float* dx) {
  launch_elements(ctx, max_pool_backward, inputs_of(s), s, dy, argmax, dx);
}

void avg_pool_fprop(Context& ctx, const PoolShape& s, const float* x, float* y) {
  launch_elements(ctx, avg_pool_forward, outputs_of(s), s, x, y);
}

void avg_pool_bprop(Context& ctx, const PoolShape& s, const float* dy, float* dx) {
  launch_elements(ctx, avg_pool_backward, inputs_of(s), s, dy, dx);
}

void upsample_fprop(Context& ctx, const UpsampleShape& s, const float* x, float* y) {
  launch_elements(ctx, upsample_forward, int64_t{s.N} * s.H * s.W * s.C * s.factor * s.factor, s, x,
                  y);
}

void upsample_bprop(Context& ctx, const UpsampleShape& s, const float* dy, float* dx) {
  launch_elements(ctx, upsample_backward<PlainGradient>, int64_t{s.N} * s.H * s.W * s.C, s,
                  PlainGradient{dy}, dx);
}

void upsample_bprop(Context& ctx, const UpsampleShape& s, Activation activation, float slope,
                    const float* y, const float* dy, float* dx) {
  launch_elements(ctx, upsample_backward<ActivatedGradient>, int64_t{s.N} * s.H * s.W * s.C, s,
                  ActivatedGradient{dy, y, activation, slope}, dx);
}

}  // namespace assay::cuda
