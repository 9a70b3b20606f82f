// Element by element: four elements a thread, as one 16-byte access if the addresses allow it. All
// of these are bound by memory, so there is one version.
#include "kernels/pointwise/pointwise_backends.h"
#include "kernels/runtime/cuda/grid.cuh"

namespace assay::cuda {
namespace {

/// out(i) = f(a(i), b(i), i); a null operand counts as 0. No __restrict__: out may be a or b.
template <class F>
__global__ void __launch_bounds__(kThreads)
    map_scalars(int64_t n, F f, const float* a, const float* b, float* out) {
  const int64_t i = global_thread();
  if (i < n) out[i] = f(a != nullptr ? a[i] : 0.0f, b != nullptr ? b[i] : 0.0f, i);
}

/// out(i) = f(a(i), b(i), i) for 4 n elements at addresses that are multiples of 16.
template <class F>
__global__ void __launch_bounds__(kThreads)
    map_vectors(int64_t n, F f, const float* a, const float* b, float* out) {
  const int64_t i = 4 * global_thread();
  if (i >= 4 * n) return;
  const float4 zero = make_float4(0, 0, 0, 0);
  const float4 x = a != nullptr ? ldv<float4>(a + i) : zero;
  const float4 y = b != nullptr ? ldv<float4>(b + i) : zero;
  stv(out + i,
      make_float4(f(x.x, y.x, i), f(x.y, y.y, i + 1), f(x.z, y.z, i + 2), f(x.w, y.w, i + 3)));
}

template <class F>
void map(Context& ctx, int64_t n, const F& f, const float* a, const float* b, float* out) {
  if (n == 0) return;
  if (n % 4 == 0 && aligned16(a) && aligned16(b) && aligned16(out))
    launch(map_vectors<F>, blocks_for(n / 4, kThreads), kThreads, 0, stream_of(ctx), n / 4, f, a, b,
           out);
  else
    launch(map_scalars<F>, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, f, a, b, out);
}

struct Activate {
  Activation activation;
  float slope;
  __device__ float operator()(float x, float, int64_t) const {
    return activate(activation, slope, x);
  }
};
struct ActivateGradient {
  Activation activation;
  float slope;
  __device__ float operator()(float y, float dy, int64_t) const {
    return dy * activation_slope(activation, slope, y);
  }
};
struct Add {
  __device__ float operator()(float a, float b, int64_t) const { return a + b; }
};
struct Subtract {
  __device__ float operator()(float a, float b, int64_t) const { return a - b; }
};
struct Multiply {
  __device__ float operator()(float a, float b, int64_t) const { return a * b; }
};
struct Affine {
  float scale, shift;
  __device__ float operator()(float x, float, int64_t) const { return scale * x + shift; }
};
struct Scale {
  const float* factor;
  __device__ float operator()(float x, float, int64_t) const { return *factor * x; }
};
struct Constant {
  float value;
  __device__ float operator()(float, float, int64_t) const { return value; }
};
struct BiasActivate {
  Activation activation;
  float slope;
  const float* bias;
  int C;
  __device__ float operator()(float x, float, int64_t i) const {
    return activate(activation, slope, x + bias[i % C]);
  }
};

/// out(i) = x at the strides of i. Neighbouring threads write neighbouring elements and read
/// elements that lie apart.
__global__ void __launch_bounds__(kThreads)
    gather(int64_t n, const __grid_constant__ Strides s, const float* __restrict__ x,
           float* __restrict__ out) {
  const int64_t i = global_thread();
  if (i >= n) return;
  int64_t rest = i, source = 0;
  for (int d = s.rank - 1; d >= 0; --d) {
    source += rest % s.size[d] * s.stride[d];
    rest /= s.size[d];
  }
  out[i] = x[source];
}

}  // namespace

void activation_fprop(Context& ctx, Activation a, float slope, int64_t n, const float* x,
                      float* y) {
  map(ctx, n, Activate{a, slope}, x, nullptr, y);
}

void activation_bprop(Context& ctx, Activation a, float slope, int64_t n, const float* y,
                      const float* dy, float* dx) {
  map(ctx, n, ActivateGradient{a, slope}, y, dy, dx);
}

void add(Context& ctx, int64_t n, const float* a, const float* b, float* out) {
  map(ctx, n, Add{}, a, b, out);
}

void subtract(Context& ctx, int64_t n, const float* a, const float* b, float* out) {
  map(ctx, n, Subtract{}, a, b, out);
}

void multiply(Context& ctx, int64_t n, const float* a, const float* b, float* out) {
  map(ctx, n, Multiply{}, a, b, out);
}

void affine(Context& ctx, int64_t n, float scale, float shift, const float* x, float* out) {
  map(ctx, n, Affine{scale, shift}, x, nullptr, out);
}

void scale(Context& ctx, int64_t n, const float* factor, const float* x, float* out) {
  map(ctx, n, Scale{factor}, x, nullptr, out);
}

void bias_activation(Context& ctx, Activation a, float slope, int64_t rows, int C, const float* x,
                     const float* bias, float* y) {
  map(ctx, rows * C, BiasActivate{a, slope, bias, C}, x, nullptr, y);
}

void fill(Context& ctx, int64_t n, float value, float* out) {
  map(ctx, n, Constant{value}, nullptr, nullptr, out);
}

void permute(Context& ctx, const Strides& s, const float* x, float* out) {
  int64_t n = 1;
  for (int d = 0; d < s.rank; ++d) n *= s.size[d];
  if (n != 0) launch(gather, blocks_for(n, kThreads), kThreads, 0, stream_of(ctx), n, s, x, out);
}

}  // namespace assay::cuda
